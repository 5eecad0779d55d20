"""What came true of scored batches, beside what was promised when their model was trained; kept per cutoff."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from features.contract import PanelContract
from features.panel import read_panel
from features.snapshot import parse_date
from flows.recorded_tests import recorded_tests, row_keys
from flows.scores_read import read_scores
from flows.storage import Workspace, records
from flows.succession import TRAINED_UNTIL
from flows.tracking import Champion
from models.alarms import Reason, verdict_of
from models.estimates import Sample
from models.realised import Realised, realised

__all__ = [
    "Outcomes", "are_late", "changes", "has_learned", "latest_judged", "outcome_reasons", "outcomes_digests",
    "outcomes_of", "promise_of", "written",
]  # fmt: skip

_PANEL_COLUMNS: Final = ("customer_id", "cutoff", "is_churned", "is_mature", "weight")
_NAMES: Final = {
    "auc": "AUC",
    "brier": "Brier score",
    "calibration_intercept": "calibration intercept",
    "calibration_slope": "calibration slope",
    "lift": "lift",
}
_MEANINGS: Final = {
    "auc": "it puts leavers less far ahead of stayers",
    "calibration_intercept": "risks are too high or too low as a whole",
    "calibration_slope": "risks are too extreme or too timid",
    "lift": "fewer leavers are found among those with the highest risk",
}
_TOLD_CHANGE: Final = 0.005


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came true of the scores of one cutoff.

    Attributes
    ----------
    cutoff, version : str
        Of the batch.
    digests : mapping of str to str
        Of the rows, scores and rules it was computed from.
    found : Realised
        The numbers.
    unmatched : int
        Scored customers without a row in the panel.
    is_learned : bool
        Whether the version has learned from these very outcomes; they then say nothing about the promise.
    """

    cutoff: str
    version: str
    digests: Mapping[str, str]
    found: Realised
    unmatched: int
    is_learned: bool


def outcomes_digests(
    workspace: Workspace, contract: PanelContract, cutoff: str, rules: Sequence[float]
) -> dict[str, str]:
    """Hash all that the outcomes of a cutoff are computed from: rows of the panel, scores, and rules with features."""
    parts = contract.by_cutoff[parse_date(cutoff)].parts
    folder = workspace.store.score_partition(cutoff)
    scores = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("part-*.parquet"))]
    found = {"rows": parts, "scores": scores, "rules": [*rules, contract.feature_contract_hash]}
    return {name: hashlib.sha256(json.dumps(one).encode()).hexdigest() for name, one in found.items()}


def are_late(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Tell whether only the rows differ: with other scores or rules, numbers change though no outcome came late.

    Examples
    --------
    >>> are_late({"rows": "a", "scores": "b"}, {"rows": "c", "scores": "b"})
    True
    >>> are_late({"rows": "a", "scores": "b"}, {"rows": "c", "scores": "d"})
    False
    """
    return {name for name in now if now[name] != before.get(name)} == {"rows"}


def has_learned(version: Champion | None, cutoff: str) -> bool:
    """Tell whether a version has learned from the outcomes of a cutoff; not, where it does not say."""
    until = version.tags.get(TRAINED_UNTIL, "") if version is not None else ""
    return until.isdigit() and parse_date(cutoff) <= int(until)


def latest_judged(outcomes: Sequence[Mapping[str, Any]], version: str) -> tuple[tuple[Reason, ...], tuple[str, ...]]:
    """Say what outcomes mean for the version that scores now.

    Parameters
    ----------
    outcomes : sequence of mapping
        As :func:`written`, by cutoff.
    version : str
        Of the batch.

    Returns
    -------
    tuple
        Reasons of the latest outcomes of that version, and notes on what is not judged: cutoffs that a version has
        learned from, and broken promises of other versions later than that.
    """
    notes = []
    learned = [one["cutoff"] for one in outcomes if one.get("is_learned")]
    if learned:
        notes.append(
            f"Scores of {', '.join(learned)} are not judged: their model has learned from the outcomes of these "
            "cutoffs, which makes scores look better than they are."
        )
    judged = [one for one in outcomes if not one.get("is_learned")]
    own = [one for one in judged if one["version"] == version]
    latest = judged[-1] if judged else None
    if latest is not None and latest["version"] != version and latest["reasons"]:
        notes.append(
            f"Scores of {latest['cutoff']} came true worse than promised, but they are of model version "
            f"{latest['version']}; version {version} scores now, and is judged by its own."
        )
    reasons = tuple(Reason(**reason) for reason in own[-1]["reasons"]) if own else ()
    return reasons, tuple(notes)


def promise_of(workspace: Workspace, contract: PanelContract, version: Champion | None) -> tuple[Sample, ...]:
    """Read what a version predicted, when it was trained, for rows that it had not learned from: one sample a cutoff.

    Parameters
    ----------
    workspace, contract
        Where the panel is.
    version : Champion or None
        The version; None, or one without recorded tests, promises nothing.

    Returns
    -------
    tuple of Sample
        Without the test cutoffs that the panel does not hold any more.
    """
    tests = recorded_tests(version, "churn") if version is not None else None
    if version is None or tests is None:
        return ()
    samples = []
    for at in sorted(set(tests["cutoff"].astype(np.int64)) & set(contract.matured)):
        rows = read_panel(workspace.store.root, (int(at),), columns=_PANEL_COLUMNS)
        known = rows.loc[rows["is_mature"] & rows["is_churned"].notna()].reset_index(drop=True)
        both = row_keys(known).reset_index(names="row").merge(tests, on=["customer_id", "cutoff"])
        own = known.take(both["row"].to_numpy())
        if len(own):
            samples.append(Sample.of(own["is_churned"], both["predicted"], own["customer_id"], own["weight"]))
    return tuple(samples)


def outcomes_of(
    workspace: Workspace,
    cutoff: str,
    promised: Sequence[Sample],
    digests: Mapping[str, str],
    *,
    share: float,
    alpha: float,
    is_learned: bool,
) -> Outcomes:
    """Measure the published scores of a mature cutoff against what came true.

    Parameters
    ----------
    workspace : Workspace
        Scores and panel.
    cutoff : str
        ``YYYY-MM-DD``.
    promised : sequence of Sample
        From :func:`promise_of`.
    digests : mapping of str to str
        From :func:`outcomes_digests`.
    share : float
        Share of customers at which lift is judged.
    alpha : float
        Chance that a kept promise is called broken.
    is_learned : bool
        From :func:`has_learned`: measured then, but not held against the promise.

    Returns
    -------
    Outcomes
    """
    scores = read_scores(workspace.store, cutoff)
    panel = read_panel(workspace.store.root, (parse_date(cutoff),), columns=_PANEL_COLUMNS)
    known = panel.loc[panel["is_mature"] & panel["is_churned"].notna(), ["customer_id", "is_churned", "weight"]]
    known = known.assign(customer_id=known["customer_id"].astype(str))
    both = scores[["customer_id", "churn_risk"]].merge(known, on="customer_id", validate="one_to_one")
    sample = Sample.of(both["is_churned"], both["churn_risk"], both["customer_id"], both["weight"])
    found = realised(sample, () if is_learned else promised, share=share, alpha=alpha)
    version, unmatched = str(scores["churn_model_version"].iloc[0]), len(scores) - len(both)
    return Outcomes(cutoff, version, digests, found, unmatched, is_learned)


def outcome_reasons(found: Outcomes) -> tuple[Reason, ...]:
    """Tell broken promises; those that are doubtful are to be watched."""
    reasons = []
    for row in found.found.table.to_dict("records"):
        if row["kept"] not in {"no", "doubtful"}:
            continue
        metric = str(row["metric"])
        at = f" for the {found.found.share:.0%} with the highest risk" if metric == "lift" else ""
        text = (
            f"Scores of {found.cutoff}: {_NAMES[metric]}{at} {row['value']:.3g} (90 % interval {row['lo']:.3g} to "
            f"{row['hi']:.3g}, n = {row['n']:,}), promised {row['promised']:.3g} ({row['promised_lo']:.3g} to "
            f"{row['promised_hi']:.3g}): {_MEANINGS[metric]}. "
        )
        if row["kept"] == "no":
            reasons.append(Reason("realised", "act", f"{text}Beyond chance: train again, journeylift train."))
        else:
            reasons.append(Reason("realised", "watch", f"{text}May be chance: look at the next cutoff."))
    return tuple(reasons)


def written(found: Outcomes) -> dict[str, Any]:
    """Write outcomes as plain values for JSON."""
    one, reasons = found.found, outcome_reasons(found)
    return {
        "cutoff": found.cutoff,
        "version": found.version,
        "is_learned": found.is_learned,
        "digests": dict(found.digests),
        "n": one.n,
        "unmatched": found.unmatched,
        "churned": one.churned,
        "churn_rate": one.rate,
        "expected_rate": one.expected,
        "contacted_share": one.share,
        "promise_cutoffs": one.cutoffs,
        "metrics": records(one.table),
        "verdict": "" if found.is_learned else verdict_of(reasons),
        "reasons": [{"kind": r.kind, "verdict": r.verdict, "text": r.text} for r in reasons],
    }


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say what outcomes that came late have changed; empty where nothing that is shown did."""
    told = []
    for name, words in (("n", "customers with an outcome"), ("churned", "of them left")):
        if before[name] != after[name]:
            told.append(f"{words}: {before[name]:,} before, {after[name]:,} now")
    old = {row["metric"]: row["value"] for row in before["metrics"]}
    for row in after["metrics"]:
        was, now = old.get(row["metric"]), row["value"]
        if was is not None and now is not None and abs(now - was) >= _TOLD_CHANGE:
            told.append(f"{_NAMES[row['metric']]}: {was:.3g} before, {now:.3g} now")
    return f"Outcomes of {after['cutoff']} came late or were corrected. {'; '.join(told)}." if told else ""
