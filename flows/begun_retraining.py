"""A retraining that was begun and has not been told yet: one whose process died goes on with it.

Without this a retraining that dies between its training and its result would find the training done and its own
question answered, and say that nothing was trained; or, asked for by schedule, train twice.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from features.contract import PanelContract
from features.errors import StoreError
from flows.registry import put_right
from flows.storage import Workspace, read_json, write_json
from flows.tracking import find_version, open_tracker

__all__ = ["BegunRetraining", "begin", "begun", "forget", "is_trained"]


@dataclass(frozen=True, slots=True)
class BegunRetraining:
    """What a retraining was asked, and what it decided before it began to train.

    Attributes
    ----------
    if_act, seed, budget
        As given to :func:`flows.retrain.retrain`.
    why : str
        Why it trains.
    asked : mapping or None
        The question that its training answers; None where it was asked for by schedule.
    before : str
        Id of the run of the last training there was; empty if there was none.
    """

    if_act: bool
    seed: int
    budget: float | None
    why: str
    asked: Mapping[str, Any] | None
    before: str

    def is_of(self, *, if_act: bool, seed: int, budget: float | None) -> bool:
        """Tell whether the same was asked."""
        return (self.if_act, self.seed, self.budget) == (if_act, seed, budget)


def begin(workspace: Workspace, *, if_act: bool, seed: int, budget: float | None, why: str, asked: Any) -> None:
    """Note that a retraining begins to train.

    Raises
    ------
    StoreError
        The note cannot be written.
    """
    before = str((read_json(workspace.store.result("train")) or {}).get("run_id", ""))
    write_json(_note(workspace), asdict(BegunRetraining(if_act, seed, budget, why, asked, before)))


def begun(workspace: Workspace) -> BegunRetraining | None:
    """Give the retraining that was begun last and has not come to its end; None if there is none.

    Raises
    ------
    StoreError
        The note is damaged.
    """
    found = read_json(_note(workspace))
    try:
        return None if found is None else BegunRetraining(**found)
    except TypeError as error:
        raise StoreError(
            f"'{_note(workspace)}' holds {', '.join(found or ()) or 'nothing'}. What a retraining notes when it begins "
            "was expected. Remove the file."
        ) from error


def is_trained(workspace: Workspace, contract: PanelContract, one: BegunRetraining) -> bool:
    """Tell whether the training of a retraining has come to its end, from the rows as they are now.

    What a training has left that died after its result was written, and whose versions are taken back, does not count.

    Raises
    ------
    ModelError
        MLflow does not answer.
    """
    last = read_json(workspace.store.result("train")) or {}
    said = (last.get("seed"), last.get("data_fingerprint"), last.get("may_promote"))
    if last.get("run_id", "") in {"", one.before} or said != (str(one.seed), contract.layout_fingerprint, True):
        return False
    tracker = open_tracker(workspace.study, workspace.store)
    tracker.require()
    put_right(tracker)
    kept = [find_version(tracker, name, str(found["version"])) for name, found in last["outcomes"].items()]
    return all(version is not None and version.run_id == last["run_id"] for version in kept)


def forget(workspace: Workspace) -> None:
    """Remove the note: the result is there, or nothing was trained."""
    _note(workspace).unlink(missing_ok=True)


def _note(workspace: Workspace) -> Path:
    return workspace.store.root / "open" / "retraining.json"
