"""The model versions of a study, which of them is champion, and the way back to the one before."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pandas as pd

from features.contract import existing_contract
from features.errors import ModelError
from flows import console
from flows.recorded_tests import forget_tests
from flows.run_database import erase_versions
from flows.sealed_models import DIGEST
from flows.storage import open_workspace, write_json
from flows.succession import TRAINED_UNTIL, dated
from flows.tracking import CHAMPION, Tracker, find_champion, open_tracker, set_alias
from flows.unfinished import abandoned

__all__ = [
    "OUTCOMES",
    "Standing",
    "Version",
    "crown",
    "list_models",
    "put_right",
    "roll_back",
    "standing",
    "versions",
    "withdraw",
]

OUTCOMES: Final = ("churn", "revenue")

_HISTORY: Final = "champions"
"""Tag of a registered model: the versions that were champion, oldest first."""


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version.

    Attributes
    ----------
    outcome, version : str
        Of which model.
    aliases : str
        ``champion``, ``challenger`` or nothing.
    created : str
        When, ISO 8601 in UTC.
    candidate : str
        What kind of model.
    loss, auc, r2 : float
        Out of time, when it was trained; NaN where there is none.
    trained_until : str
        Latest cutoff it has learned from (YYYY-MM-DD).
    features, data : str
        First digits of the feature contract's hash and of the data's fingerprint.
    run_id : str
        The MLflow run that recorded it.
    sealed : str
        SHA-256 of the file of the fitted model; empty where it was not recorded.
    """

    outcome: str
    version: str
    aliases: str
    created: str
    candidate: str
    loss: float
    auc: float
    r2: float
    trained_until: str
    features: str
    data: str
    run_id: str
    sealed: str


def versions(tracker: Tracker, outcome: str) -> tuple[Version, ...]:
    """List the versions of an outcome's model, newest first."""
    client, name = tracker.client, tracker.model_name(outcome)
    known = {model.name: model for model in client.search_registered_models(f"name = '{name}'")}
    if name not in known:
        return ()
    carried: dict[str, list[str]] = {}
    for alias, number in known[name].aliases.items():
        carried.setdefault(str(number), []).append(alias)
    found = client.search_model_versions(f"name = '{name}'")
    ordered = sorted(found, key=lambda one: -int(one.version))
    return tuple(_version(outcome, one, sorted(carried.get(str(one.version), []))) for one in ordered)


@dataclass(frozen=True, slots=True)
class Standing:
    """Which versions have an alias, and which were champion before: what a training may have to put back."""

    aliases: Mapping[str, str]
    history: str


def standing(tracker: Tracker) -> dict[str, Standing]:
    """Note aliases and history of every model; a model that is not there has neither."""
    found = {}
    for outcome in OUTCOMES:
        name = tracker.model_name(outcome)
        known = tracker.client.search_registered_models(f"name = '{name}'")
        aliases = {str(alias): str(number) for model in known for alias, number in model.aliases.items()}
        found[outcome] = Standing(aliases, next((model.tags.get(_HISTORY, "") for model in known), ""))
    return found


def withdraw(tracker: Tracker, run_id: str, before: Mapping[str, Standing]) -> None:
    """Take back the versions of a training that did not come to its end, and every alias it has moved.

    Raises
    ------
    ModelError
        MLflow does not answer. ``journeylift models`` shows what is left.
    """
    tracker.require()
    for outcome, present in standing(tracker).items():
        name, earlier = tracker.model_name(outcome), before.get(outcome, Standing({}, ""))
        taken = {one.version for one in versions(tracker, outcome) if one.run_id == run_id}
        for alias, number in present.aliases.items():
            # Another training may have moved the others since.
            if number in taken and alias in earlier.aliases:
                set_alias(tracker, outcome, earlier.aliases[alias], alias)
            elif number in taken:
                tracker.client.delete_registered_model_alias(name, alias)
        history = [one for one in present.history.split(",") if one and one not in taken]
        if ",".join(history) != present.history:
            tracker.client.set_registered_model_tag(name, _HISTORY, ",".join(history))
        for number in taken:
            tracker.client.delete_model_version(name, number)
        erase_versions(tracker.uri, name, taken)
    forget_tests(tracker, run_id)


def put_right(tracker: Tracker) -> int:
    """Take back what trainings have left whose process is dead, and mark their runs, and those of others, as killed.

    Returns
    -------
    int
        How many processes have left something.

    Raises
    ------
    ModelError
        MLflow does not answer.
    """
    found = 0
    for one in abandoned(tracker.notes):
        before = {outcome: Standing(**said) for outcome, said in one.undo.items()}
        for run_id in tracker.opened(one.token):
            if before:
                withdraw(tracker, run_id, before)
            tracker.kill(run_id)
        found += 1
    return found


def crown(tracker: Tracker, outcome: str, number: str, *, deposed: str | None = None) -> None:
    """Make a version the champion, and remember which ones were champion before it, but for a deposed one."""
    history = [one for one in _history(tracker, outcome) if one not in {number, deposed}]
    name = tracker.model_name(outcome)
    set_alias(tracker, outcome, number, CHAMPION)
    tracker.client.set_registered_model_tag(name, _HISTORY, ",".join([*history, number]))


def list_models(study_file: str) -> None:
    """Show all versions of a study's models."""
    workspace = open_workspace(study_file)
    tracker = open_tracker(workspace.study, workspace.store)
    tracker.require()
    put_right(tracker)
    found = [one for outcome in OUTCOMES for one in versions(tracker, outcome)]
    listed = [asdict(one) for one in found]
    write_json(workspace.store.result("models"), {"study": workspace.study.name, "versions": listed})
    if not found:
        console.say(f"No model of {workspace.study.name} is registered yet. Train one: journeylift train")
        return
    table = pd.DataFrame(listed).drop(columns=["run_id", "sealed"])
    shown = table.assign(created=table["created"].str.slice(0, 16)).dropna(axis=1, how="all")
    console.show_table(f"models of {workspace.study.name}", shown)


def roll_back(study_file: str, *, outcome: str | None = None, to: str | None = None, force: bool = False) -> None:
    """Let an earlier version be champion again.

    Parameters
    ----------
    study_file : str
        The study.
    outcome : str, optional
        ``churn`` or ``revenue``; every model that had an earlier champion when left out.
    to : str, optional
        The version; the champion before the present one when left out. Needs `outcome`.
    force : bool
        Also to a version that was trained on other features than the panel holds, and could not score it.

    Raises
    ------
    ModelError
        There is no such version, no earlier champion, or the version cannot score the panel. Nothing has changed then.
    """
    workspace = open_workspace(study_file)
    tracker = open_tracker(workspace.study, workspace.store)
    tracker.require()
    put_right(tracker)
    if outcome is None and to is not None:
        raise ModelError(f"--to {to} needs an outcome, churn or revenue. Try: journeylift rollback churn --to {to}")
    if outcome is not None and outcome not in OUTCOMES:
        raise ModelError(f"'{outcome}' is no outcome with a model. Expected {' or '.join(OUTCOMES)}.")
    ways = [_way_back(tracker, one, to) for one in ([outcome] if outcome else _with_history(tracker))]
    if not ways:
        raise ModelError(
            f"No model of {workspace.study.name} has had an earlier champion. At least two champions, one after the "
            "other, were expected. See journeylift models."
        )
    contract = existing_contract(workspace.store.root)
    if contract is not None and not force:
        for one in ways:
            _require_features(one, contract.feature_contract_hash)
    for one in ways:
        crown(tracker, one.outcome, one.target.version, deposed=one.present)
    done = [
        {"outcome": one.outcome, "champion": one.target.version, "before": f"version {one.present}"} for one in ways
    ]
    write_json(workspace.store.result("rollback"), {"study": workspace.study.name, "champions": done})
    for told in done:
        console.say(
            f"{told['outcome']}: version {told['champion']} is the champion again, in place of {told['before']}."
        )


@dataclass(frozen=True, slots=True)
class _Way:
    """From the present champion of an outcome's model to another version of it."""

    name: str
    outcome: str
    present: str
    target: Version
    known: tuple[Version, ...]


def _require_features(way: _Way, contract_hash: str) -> None:
    """Refuse a version that could not score the panel as it is."""
    held, target = contract_hash[:8], way.target
    if target.features == held:
        return
    able = {one.version for one in way.known if one.features == held} - {way.present}
    better = f"Go back to one of these features (--to {_listed(able)})" if able else "Train again (journeylift train)"
    raise ModelError(
        f"{way.name} version {target.version} was trained on features {target.features or 'unknown'}, the panel holds "
        f"features {held}, so it could not score. Equal ones were expected. {better}, or go back all the same: "
        f"journeylift rollback {way.outcome} --to {target.version} --force"
    )


def _way_back(tracker: Tracker, outcome: str, to: str | None) -> _Way:
    name, history = tracker.model_name(outcome), _history(tracker, outcome)
    present = find_champion(tracker, outcome)
    if present is None:
        raise ModelError(f"{name} has no champion to go back from. Train one: journeylift train")
    listed = versions(tracker, outcome)
    known = {one.version for one in listed}
    earlier = [one for one in history if one != present.version and one in known]
    if to is None and not earlier:
        raise ModelError(
            f"{name} version {present.version} is its first champion. Name a version with --to: {_listed(known)}."
        )
    target = to if to is not None else earlier[-1]
    if target not in known:
        raise ModelError(f"{name} has no version {target}. Expected one of {_listed(known)}.")
    if target == present.version:
        raise ModelError(f"{name} version {target} is the champion already. Expected another one of {_listed(known)}.")
    return _Way(name, outcome, present.version, next(one for one in listed if one.version == target), listed)


def _with_history(tracker: Tracker) -> list[str]:
    return [outcome for outcome in OUTCOMES if len(_history(tracker, outcome)) > 1]


def _history(tracker: Tracker, outcome: str) -> list[str]:
    name = tracker.model_name(outcome)
    found = tracker.client.search_registered_models(f"name = '{name}'")
    tags = dict(found[0].tags) if found else {}
    return [one for one in tags.get(_HISTORY, "").split(",") if one]


def _listed(known: set[str]) -> str:
    return ", ".join(sorted(known, key=int))


def _version(outcome: str, one: Any, aliases: list[str]) -> Version:
    tags = dict(one.tags)

    def number(name: str) -> float:
        return float(tags.get(name, "nan"))

    created = datetime.fromtimestamp(one.creation_timestamp / 1000, UTC)
    return Version(
        outcome=outcome,
        version=str(one.version),
        aliases=", ".join(aliases),
        created=created.isoformat(timespec="seconds"),
        candidate=tags.get("candidate", ""),
        loss=number("out_of_time_loss"),
        auc=number("out_of_time_auc"),
        r2=number("out_of_time_r2"),
        trained_until=dated(tags.get(TRAINED_UNTIL, "")),
        features=tags.get("feature_contract_hash", "")[:8],
        data=tags.get("data_fingerprint", "")[:8],
        run_id=str(one.run_id or ""),
        sealed=tags.get(DIGEST, ""),
    )
