"""A new model version beside the champion: what both predicted for the same rows, and what becomes of the new one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contract import PanelContract
from features.snapshot import DAY, iso
from features.study import Study
from flows.recorded_tests import recorded_tests, row_keys
from flows.tracking import CHALLENGER, CHAMPION, Champion
from models.churn import predict_churn
from models.evaluation import Evaluation
from models.metrics import Estimate, Sample
from models.promotion import Comparison, compare, decide
from models.revenue import predict_revenue
from models.segments import sample_of
from models.splits import cutoff_microseconds

__all__ = [
    "TRAINED_UNTIL", "Promotion", "dated", "out_of_time", "promotion", "trained_until", "written",
]  # fmt: skip

TRAINED_UNTIL: Final = "trained_until"
"""Tag of a version: the latest cutoff (microseconds) whose outcomes it has learned from."""

_PREDICT: Final[dict[str, Callable[..., NDArray[np.float64]]]] = {"churn": predict_churn, "revenue": predict_revenue}
_LEAST_SHARED: Final = 0.5


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a new model version becomes.

    Parameters
    ----------
    alias : str
        ``champion`` or ``challenger``.
    reason : str
        Why, for people.
    comparison : Comparison or None
        Both on the same rows, where that was possible.
    """

    alias: str
    reason: str
    comparison: Comparison | None = None


def promotion(
    study: Study,
    contract: PanelContract,
    frame: pd.DataFrame,
    evaluation: Evaluation,
    present: Champion | None,
    *,
    may_promote: bool = True,
    earned: Callable[[Sample], NDArray[np.float64]] | None = None,
) -> Promotion:
    """Decide what a new version becomes.

    Parameters
    ----------
    study : Study
        Lengths of gap and horizon.
    contract : PanelContract
        Of the panel that the new version was fitted on.
    frame : DataFrame
        Its mature rows.
    evaluation : Evaluation
        Out-of-time predictions of the new version.
    present : Champion or None
        The present champion.
    may_promote : bool
        False: a challenger in any case.
    earned : callable, optional
        What acting on risks earns with each row, see :func:`models.promotion.compare`.

    Returns
    -------
    Promotion
        The first version is champion. Later ones are compared on rows whose outcomes came after everything that the
        champion has learned from, as the stored champion predicts them; as long as there are none, on the rows both
        were tested on when they were trained.
    """
    if present is None:
        reason = "it is the first." if may_promote else "promotion is switched off; there is no champion."
        return Promotion(CHAMPION if may_promote else CHALLENGER, reason)
    can_score = present.contract == contract.feature_contract_hash
    found = _against_stored_model(study, contract, frame, evaluation, present, earned) if can_score else None
    found = found or _against_recorded_tests(evaluation, present, earned)
    decision = decide(found, f"version {present.version}", can_score=can_score)
    if not may_promote:
        return Promotion(CHALLENGER, f"promotion is switched off. {_upper(decision.reason)}", found)
    return Promotion(CHAMPION if decision.promotes else CHALLENGER, decision.reason, found)


def out_of_time(evaluation: Evaluation) -> pd.DataFrame:
    """Give the out-of-time predictions of the candidate that won: customer_id, cutoff, observed, predicted and more."""
    return evaluation.predictions.query("candidate == @evaluation.winner").reset_index(drop=True)


def written(found: Comparison | None) -> dict[str, Any] | None:
    """Write a comparison as plain values."""
    if found is None:
        return None

    def plain(one: Estimate | None) -> dict[str, float] | None:
        return None if one is None else {"value": one.value, "lo": one.lo, "hi": one.hi}

    numbers = {name: plain(getattr(found, name)) for name in ("loss", "calibration", "money", "mean_calibration")}
    return {"basis": found.basis, "rows": found.rows, "customers": found.customers, **numbers}


def _against_stored_model(
    study: Study,
    contract: PanelContract,
    frame: pd.DataFrame,
    evaluation: Evaluation,
    present: Champion,
    earned: Callable[[Sample], NDArray[np.float64]] | None,
) -> Comparison | None:
    if TRAINED_UNTIL not in present.tags:
        return None
    own = out_of_time(evaluation)
    embargo = (study.snapshot.gap_days + study.snapshot.horizon_days) * DAY
    fresh = own.loc[cutoff_microseconds(own) >= int(present.tags[TRAINED_UNTIL]) + embargo]
    if fresh.empty:
        return None
    keys = ["customer_id", "cutoff"]
    rows = fresh[keys].merge(frame, on=keys, how="left", validate="one_to_one")
    model = present.load(contract.feature_contract_hash)
    predicted = _PREDICT[evaluation.outcome](model, rows, contract.features)
    return compare(evaluation.outcome, sample_of(fresh), predicted, "stored model", earned=earned)


def _against_recorded_tests(
    evaluation: Evaluation, present: Champion, earned: Callable[[Sample], NDArray[np.float64]] | None
) -> Comparison | None:
    before = recorded_tests(present, evaluation.outcome)
    if before is None:
        return None
    own = out_of_time(evaluation)
    keys = row_keys(own).reset_index(names="row")
    both = keys.merge(before, on=["customer_id", "cutoff"], validate="one_to_one")
    if len(both) < _LEAST_SHARED * min(len(own), len(before)):
        return None
    shared = own.iloc[both["row"].to_numpy()]
    predicted = both["predicted"].to_numpy(np.float64)
    return compare(evaluation.outcome, sample_of(shared), predicted, "recorded tests", earned=earned)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def trained_until(frame: pd.DataFrame) -> str:
    """Write the latest cutoff of the rows that a version is fitted on, for its tag."""
    return str(int(cutoff_microseconds(frame).max()))


def dated(microseconds: str) -> str:
    """Read such a tag as a date; empty if there is none."""
    return iso(int(microseconds)) if microseconds.isdigit() else ""
