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
from flows.scores_read import read_scores
from flows.storage import Workspace, records
from flows.succession import recorded_tests, row_keys
from flows.tracking import Champion
from models.alarms import Reason
from models.estimates import Sample
from models.realised import Realised, realised

__all__ = ["Outcomes", "changes", "outcome_reasons", "outcomes_fingerprint", "outcomes_of", "promise_of", "written"]

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
    fingerprint : str
        Of the scores, outcomes and rules it was computed from.
    found : Realised
        The numbers.
    unmatched : int
        Scored customers without a row in the panel.
    """

    cutoff: str
    version: str
    fingerprint: str
    found: Realised
    unmatched: int


def outcomes_fingerprint(workspace: Workspace, contract: PanelContract, cutoff: str, rules: Sequence[float]) -> str:
    """Hash all that the outcomes of a cutoff are computed from: a change means that outcomes came late."""
    at = parse_date(cutoff)
    parts = next(one.parts for one in contract.partitions if one.cutoff == at)
    folder = workspace.store.score_partition(cutoff)
    scores = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("part-*.parquet"))]
    return hashlib.sha256(json.dumps([parts, scores, list(rules)]).encode()).hexdigest()


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
        both = row_keys(known, version.tracker.key).reset_index(names="row").merge(tests, on=["customer", "cutoff"])
        own = known.take(both["row"].to_numpy())
        if len(own):
            samples.append(Sample.of(own["is_churned"], both["predicted"], own["customer_id"], own["weight"]))
    return tuple(samples)


def outcomes_of(
    workspace: Workspace,
    cutoff: str,
    promised: Sequence[Sample],
    fingerprint: str,
    *,
    share: float,
    alpha: float,
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
    fingerprint : str
        From :func:`outcomes_fingerprint`.
    share : float
        Share of customers at which lift is judged.
    alpha : float
        Chance that a kept promise is called broken.

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
    found = realised(sample, promised, share=share, alpha=alpha)
    return Outcomes(cutoff, str(scores["churn_model_version"].iloc[0]), fingerprint, found, len(scores) - len(both))


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
    one = found.found
    return {
        "cutoff": found.cutoff,
        "version": found.version,
        "fingerprint": found.fingerprint,
        "n": one.n,
        "unmatched": found.unmatched,
        "churned": one.churned,
        "churn_rate": one.rate,
        "expected_rate": one.expected,
        "contacted_share": one.share,
        "promise_cutoffs": one.cutoffs,
        "metrics": records(one.table),
        "verdict": "act" if one.broken("no") else "watch" if one.broken("doubtful") else "ok",
        "reasons": [{"kind": r.kind, "verdict": r.verdict, "text": r.text} for r in outcome_reasons(found)],
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
