"""Two candidates on the same rows: by how much one is better, with an interval of the difference itself."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.estimates import Estimate, Sample, Term, estimate
from models.metrics import mean_difference, row_log_loss
from models.ranking import Ranking, auc
from models.segments import sample_of

__all__ = ["auc_difference", "compare"]

_COLUMNS = ["first", "second", "metric", "difference", "lo", "hi", "n"]


def auc_difference(first: Sample, second: Sample) -> Estimate:
    """Compare how two predictions rank the same rows.

    Parameters
    ----------
    first, second : Sample
        The same rows in the same order.

    Returns
    -------
    Estimate
        AUC of the first minus AUC of the second, with a 90 % interval clustered by customer; NaN with one class.

    Raises
    ------
    ValueError
        Other rows.

    Notes
    -----
    The influence function of a difference is the difference of the influence functions, so that what both rankings get
    right or wrong alike cancels. For independent rows without ties it is the test of DeLong et al. (1988), but for the
    factor of small samples.

    References
    ----------
    DeLong, DeLong, Clarke-Pearson (1988), doi:10.2307/2531595. Obuchowski (1997), Biometrics 53 (clusters).
    """
    is_same = len(first) == len(second) and np.array_equal(first.observed, second.observed)
    if not is_same or not np.array_equal(first.customer, second.customer):
        msg = "both predictions must be about the same rows in the same order"
        raise ValueError(msg)
    if not 0 < first.mean(first.observed) < 1:
        return Estimate("auc", float("nan"), float("nan"), float("nan"), len(first))
    one, other = auc(Ranking.of(first)), auc(Ranking.of(second))
    return estimate(first, Term("auc", one.value - other.value, one.influence - other.influence))


def compare(predictions: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Say what one candidate for churn loses against another on the same rows.

    Parameters
    ----------
    predictions : DataFrame
        Out-of-fold predictions of both, see :class:`models.evaluation.Evaluation`.
    first, second : str
        Candidates.

    Returns
    -------
    DataFrame
        first, second, metric (``auc``: above 0 the first ranks better; ``log_loss``: below 0 it is better), difference
        (first - second), lo, hi (90 %, clustered by customer), n.
    """
    samples = [sample_of(predictions.loc[predictions["candidate"].eq(name)]) for name in (first, second)]
    losses = [row_log_loss(one.observed, one.predicted) for one in samples]
    found = [auc_difference(*samples), mean_difference(samples[0], losses[0], losses[1], "log_loss")]
    rows = [(first, second, one.metric, one.value, one.lo, one.hi, one.n) for one in found]
    return pd.DataFrame(rows, columns=_COLUMNS)
