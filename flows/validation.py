"""Model versions against what came true: by cutoff, by segment, and a challenger beside the champion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contract import PanelContract
from features.errors import ModelError
from flows.recorded_tests import recorded_tests, row_keys
from flows.storage import Workspace
from flows.tracking import CHAMPION, find_champion, open_tracker
from models.metrics import Estimate, Sample, churn_metrics, mean_difference, reliability, revenue_metrics, row_log_loss
from models.ranking import gains
from models.segments import by_segment, measure, sample_of, segment_labels, segmenting

__all__ = ["PastTests", "beside", "past_tests"]

FloatArray = NDArray[np.float64]

_METRICS: Final[Mapping[str, Callable[[Sample], tuple[Estimate, ...]]]] = {
    "churn": churn_metrics,
    "revenue": revenue_metrics,
}
_OBSERVED: Final = {"churn": "is_churned", "revenue": "revenue"}
_LOSS: Final[Mapping[str, tuple[str, Callable[[FloatArray, FloatArray], FloatArray]]]] = {
    "churn": ("log_loss", row_log_loss),
    "revenue": ("absolute_error", lambda observed, predicted: np.abs(predicted - observed)),
}


@dataclass(frozen=True, slots=True)
class PastTests:
    """What a version predicted, when it was trained, for rows that it had not learned from, beside what came true.

    Attributes
    ----------
    outcome, version, alias, candidate : str
        Of which version.
    predictions : DataFrame
        customer_id, cutoff, fold (its date), candidate (the version's name), predicted, observed, weight and, where it
        is known, replica_group.
    labels : DataFrame
        customer_id, cutoff and the segments of each row, see :func:`models.segments.segment_labels`.
    recorded : int
        Rows that were recorded; more than there are predictions where the panel has lost rows since.
    """

    outcome: str
    version: str
    alias: str
    candidate: str
    predictions: pd.DataFrame
    labels: pd.DataFrame
    recorded: int

    def metrics(self) -> pd.DataFrame:
        """Measure over all rows (fold "all") and at each cutoff: outcome, candidate, metric, value, lo, hi, n, fold."""
        return measure(self.predictions, self.outcome, _METRICS[self.outcome])

    def segments(self) -> pd.DataFrame:
        """Measure within each segment, over all cutoffs: the same with a column segment."""
        return by_segment(self.predictions, self.labels, self.outcome, _METRICS[self.outcome])

    def reliability(self) -> pd.DataFrame:
        """Compare predicted with observed in ten bins at each cutoff, which stands as candidate."""
        by_fold = self.predictions.groupby("fold", sort=True)
        parts = [reliability(sample_of(rows), candidate=str(fold)) for fold, rows in by_fold]
        return pd.concat(parts, ignore_index=True)

    def gains(self) -> pd.DataFrame:
        """Say how many churners are found among the riskiest, see :func:`models.ranking.gains`."""
        return gains(sample_of(self.predictions), candidate=str(self.predictions["candidate"].iloc[0]))


def past_tests(
    workspace: Workspace, contract: PanelContract, panel: pd.DataFrame, outcome: str, alias: str = CHAMPION
) -> PastTests | None:
    """Find what the version with an alias predicted when it was tested, and what came true.

    Parameters
    ----------
    workspace : Workspace
        The study and its store.
    contract : PanelContract
        Of the panel.
    panel : DataFrame
        Its rows.
    outcome : str
        ``churn`` or ``revenue``.
    alias : str
        ``champion`` or ``challenger``.

    Returns
    -------
    PastTests or None
        None where no version has the alias.

    Raises
    ------
    ModelError
        The version's tests were not recorded, or none of their rows is in the panel.
    """
    tracker = open_tracker(workspace.study, workspace.store)
    version = find_champion(tracker, outcome, alias)
    if version is None:
        return None
    found = recorded_tests(version, outcome)
    if found is None:
        raise ModelError(
            f"{version.name} version {version.version} has no recorded tests in this store. A version trained on "
            "it was expected. Train again: journeylift train"
        )
    known = panel.loc[panel["is_mature"] & panel[_OBSERVED[outcome]].notna()].reset_index(drop=True)
    keys = row_keys(known).reset_index(names="row")
    rows = keys.merge(found, on=["customer_id", "cutoff"], validate="one_to_one")
    if rows.empty:
        raise ModelError(
            f"None of the {len(found):,} rows that {version.name} version {version.version} was tested on is in the "
            "panel. The panel that it was trained on was expected. Train again: journeylift train"
        )
    rows = rows.sort_values("row")
    own = known.take(rows["row"].to_numpy())
    kind = version.tags.get("candidate", "model")
    kept = [column for column in ("customer_id", "cutoff", "weight", "replica_group") if column in own]
    predictions = own[kept].assign(
        candidate=f"{alias}: version {version.version}, {kind}",
        predicted=rows["predicted"].to_numpy(np.float64),
        observed=own[_OBSERVED[outcome]].to_numpy(np.float64),
        fold=own["cutoff"].dt.strftime("%Y-%m-%d"),
    )
    labels = segment_labels(own, segmenting(contract.features), own["weight"].to_numpy(np.float64))
    return PastTests(
        outcome=outcome,
        version=version.version,
        alias=alias,
        candidate=kind,
        predictions=predictions.reset_index(drop=True),
        labels=pd.concat([own[["customer_id", "cutoff"]], labels], axis=1).reset_index(drop=True),
        recorded=len(found),
    )


def beside(challenger: PastTests, champion: PastTests) -> pd.DataFrame:
    """Compare two versions on the rows that both were tested on, over all and at each cutoff.

    Parameters
    ----------
    challenger, champion : PastTests
        Of the same outcome.

    Returns
    -------
    DataFrame
        fold ("all" first), metric (log_loss, or absolute_error in currency), difference (challenger - champion: below 0
        the challenger is better), lo, hi (90 %, clustered by customer), n, challenger, champion (their mean losses).
        Empty where they share no row.

    Notes
    -----
    Each version as it was tested when it was trained: neither had learned from the rows, but they may have learned from
    different ones. The mean of row-wise differences, so that what makes a month hard for both cancels.
    """
    keys = ["customer_id", "cutoff"]
    other = champion.predictions[[*keys, "predicted"]].rename(columns={"predicted": "before"})
    both = challenger.predictions.merge(other, on=keys, validate="one_to_one")
    names = ["fold", "metric", "difference", "lo", "hi", "n", "challenger", "champion"]
    if both.empty:
        return pd.DataFrame(columns=names)
    folds = sorted(both["fold"].unique())
    parts = {"all": both} | ({fold: both[both["fold"] == fold] for fold in folds} if len(folds) > 1 else {})
    rows = [_difference(fold, part, challenger.outcome) for fold, part in parts.items()]
    return pd.DataFrame(rows, columns=names)


def _difference(fold: str, rows: pd.DataFrame, outcome: str) -> tuple[Any, ...]:
    sample = sample_of(rows)
    metric, loss = _LOSS[outcome]
    own, before = (loss(sample.observed, rows[name].to_numpy(np.float64)) for name in ("predicted", "before"))
    found = mean_difference(sample, own, before, metric)
    return (fold, metric, found.value, found.lo, found.hi, found.n, sample.mean(own), sample.mean(before))
