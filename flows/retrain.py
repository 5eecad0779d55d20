"""Close the loop: train on what has come true since, promote what is better, and say which version scores next."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from features.errors import StoreError
from flows import console
from flows.artefacts import leave
from flows.begun_retraining import BegunRetraining, begin, begun, forget, is_trained
from flows.build_features import ensure_panel
from flows.steps import flow
from flows.storage import Workspace, open_workspace, read_json, write_json
from flows.tracking import find_champion, open_tracker
from flows.train import to_learn_from, train

__all__ = ["MENDABLE", "Call", "call_for", "retrain"]

MENDABLE: Final = {"realised": "predictions came true worse than promised"}
"""Kinds of reasons to act that a training on newer rows can mend. All others want a person: a training would learn a
wrong unit, stale tables or a broken column as if they were true. That features or scores have moved is never a reason
to act by itself, only to watch: what came true decides."""


@dataclass(frozen=True, slots=True)
class Call:
    """Whether monitoring calls for a training.

    Parameters
    ----------
    is_wanted : bool
        Whether to train.
    why : str
        In a sentence.
    kinds : tuple of str
        The reasons that a training can mend, in alphabetical order.
    """

    is_wanted: bool
    why: str
    kinds: tuple[str, ...] = ()


def call_for(found: Mapping[str, Any]) -> Call:
    """Read from a result of monitoring whether a training can mend what is wrong.

    Parameters
    ----------
    found : mapping
        ``verdict`` (ok, watch, act) and ``reasons``, each with its ``kind``.

    Returns
    -------
    Call
        Training is wanted where the verdict is ``act`` and every reason to act is one of :data:`MENDABLE`: with a
        broken column beside predictions that came true badly, the column may well be why.

    Examples
    --------
    >>> call_for({"verdict": "act", "reasons": [{"kind": "realised", "verdict": "act"}]}).why
    'Monitoring says act: predictions came true worse than promised.'
    >>> call_for({"verdict": "act", "reasons": [{"kind": "unit", "verdict": "act"}]}).is_wanted
    False
    """
    verdict = found["verdict"]
    if verdict != "act":
        return Call(is_wanted=False, why=f"Monitoring says {verdict}: no training is called for.")
    kinds = sorted({_kind(one) for one in found["reasons"] if _is_to_act(one)})
    others = [kind for kind in kinds if kind not in MENDABLE]
    if others or not kinds:
        named = ", ".join(others) or "no reason given"
        return Call(
            is_wanted=False,
            why=f"Monitoring says act for what no training can mend ({named}): a person has to look. Nothing was "
            "trained, as a model would learn the fault.",
        )
    return Call(
        is_wanted=True,
        why=f"Monitoring says act: {' and '.join(MENDABLE[kind] for kind in kinds)}.",
        kinds=tuple(kinds),
    )


def _kind(reason: object) -> str:
    return str(reason.get("kind", "of unknown kind")) if isinstance(reason, Mapping) else "of unknown kind"


def _is_to_act(reason: object) -> bool:
    """Tell whether a reason is one to act; those only to be watched do not decide."""
    return not isinstance(reason, Mapping) or reason.get("verdict", "act") == "act"


@flow(name="retrain")
def retrain(study_file: str, *, if_act: bool = False, seed: int = 0, budget: float | None = None) -> None:
    """Train the models of a study anew on all outcomes that are known by now, and promote them if they are better.

    Parameters
    ----------
    study_file : str
        The study.
    if_act : bool
        Only where the last monitoring says ``act`` for reasons that a training can mend, and only where outcomes have
        come true or features have changed since the last training, whoever asked for it: the same rows teach nothing
        new.
    seed : int
        Seed of everything random.
    budget : float, optional
        Seconds for trying settings, as in :func:`flows.train.train`.

    Raises
    ------
    StoreError
        Nothing was monitored yet, and ``if_act`` asks for it.
    JourneyliftError
        As :func:`flows.train.train`.

    Notes
    -----
    One that died after its training goes on with telling it when the same is asked again: nothing is trained twice.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    done = _begun(workspace, if_act=if_act, seed=seed, budget=budget)
    if done is not None:
        console.say("Going on where an interrupted retraining was: its training is done.")
        call, asked = Call(is_wanted=True, why=done.why), done.asked
    else:
        call, asked = _decided(workspace, if_act=if_act)
    console.say(f"retrain: {call.why}")
    if call.is_wanted and done is None:
        begin(workspace, if_act=if_act, seed=seed, budget=budget, why=call.why, asked=asked)
        try:
            train(study_file, seed=seed, budget=budget)
        except Exception:
            forget(workspace)  # it has taken back what it did: nothing is to be gone on with
            raise
    outcomes = _outcomes(workspace) if call.is_wanted else {}
    for name, one in outcomes.items():
        console.say(f"{name}: version {one['scores_next']} scores next.")
    result = {
        "study": workspace.study.name,
        "trained": call.is_wanted,
        "why": call.why,
        "asked": asked,
        "outcomes": outcomes,
    }
    write_json(workspace.store.result("retrain"), result)
    forget(workspace)
    leave(workspace, "retrain")
    seconds, where = time.perf_counter() - started, str(workspace.store.result("retrain"))
    rows_out = console.count(len(outcomes), "new version")
    console.say(console.Closing("retrain", "1 question", rows_out, seconds, where).line())


def _begun(workspace: Workspace, *, if_act: bool, seed: int, budget: float | None) -> BegunRetraining | None:
    """Find the retraining that was asked the same, and whose process died when its training was done."""
    found = begun(workspace)
    if found is None or not found.is_of(if_act=if_act, seed=seed, budget=budget):
        return None
    return found if is_trained(workspace, ensure_panel(workspace), found) else None


def _decided(workspace: Workspace, *, if_act: bool) -> tuple[Call, dict[str, Any] | None]:
    """Decide whether to train, and name the question that this would answer."""
    call = _called(workspace) if if_act else Call(is_wanted=True, why="By schedule, or asked for.")
    asked = _question(workspace, call.kinds) if if_act and call.is_wanted else None
    if asked is not None and _is_answered(workspace, asked):
        call = Call(
            is_wanted=False,
            why=f"{call.why} A training has already answered that, and no outcome has come true since: nothing was "
            "trained. The next one is worth it when the next cutoff is mature.",
        )
    return call, asked


def _called(workspace: Workspace) -> Call:
    found = read_json(workspace.store.result("monitor"))
    if found is None:
        raise StoreError(
            f"Nothing was monitored yet in '{workspace.store.root}': there is no verdict to act on. "
            f"Run: journeylift monitor --study {workspace.study_file}, or train in any case: leave --if-act out."
        )
    return call_for(found)


def _question(workspace: Workspace, kinds: Sequence[str]) -> dict[str, Any]:
    """Name what a training would answer: reasons, version found wanting, and what there is by now to learn from."""
    judged = (read_json(workspace.store.result("monitor")) or {}).get("outcomes") or [{}]
    return {
        "kinds": list(kinds),
        "version": str(judged[-1].get("version", "")),
        **to_learn_from(ensure_panel(workspace)),
    }


def _is_answered(workspace: Workspace, asked: Mapping[str, Any]) -> bool:
    """Tell whether the last training that could promote has learned from the same outcomes and features."""
    last = read_json(workspace.store.result("train")) or {}
    return bool(last.get("may_promote")) and all(
        last.get(name) == asked[name] for name in ("matured", "feature_contract_hash")
    )


def _outcomes(workspace: Workspace) -> dict[str, dict[str, str]]:
    """Say of each model what the new version became, why, and which version scores from now on."""
    trained = read_json(workspace.store.result("train")) or {}
    tracker = open_tracker(workspace.study, workspace.store)
    found = {}
    for name, one in trained.get("outcomes", {}).items():
        champion = find_champion(tracker, name)
        found[name] = {
            "version": str(one["version"]),
            "alias": str(one["alias"]),
            "reason": str(one["reason"]),
            "scores_next": champion.version if champion is not None else "none",
        }
    return found
