import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from models.comparison import auc_difference, compare
from models.estimates import Sample


def _samples(n: int = 2_000, seed: int = 1) -> tuple[Sample, Sample]:
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n)
    y = (rng.random(n) < 1 / (1 + np.exp(1.5 - score))).astype(float)
    first, second = (1 / (1 + np.exp(1.5 - score - rng.normal(0, spread, n))) for spread in (0.3, 1.0))
    who = np.arange(n) // 2
    return Sample.of(y, first, who, np.ones(n)), Sample.of(y, second, who, np.ones(n))


def test_the_difference_is_that_of_two_aucs_and_its_error_is_a_bootstraps() -> None:
    first, second = _samples()
    found = auc_difference(first, second)
    y = first.observed
    assert found.value == pytest.approx(roc_auc_score(y, first.predicted) - roc_auc_score(y, second.predicted))
    rng, drawn = np.random.default_rng(2), []
    for _ in range(300):
        rows = (2 * rng.integers(0, 1_000, 1_000)[:, None] + np.arange(2)).ravel()
        drawn.append(roc_auc_score(y[rows], first.predicted[rows]) - roc_auc_score(y[rows], second.predicted[rows]))
    assert (found.hi - found.lo) / 2 / 1.6449 == pytest.approx(np.std(drawn), rel=0.2)


def test_a_prediction_differs_from_itself_by_nothing() -> None:
    first, _ = _samples()
    found = auc_difference(first, first)
    assert (found.value, found.lo, found.hi) == (0, 0, 0)


def test_one_class_has_no_difference_and_other_rows_are_refused() -> None:
    one = Sample.of(np.zeros(4), np.full(4, 0.1), np.arange(4), np.ones(4))
    assert np.isnan(auc_difference(one, one).value)
    first, second = _samples()
    turned = Sample.of(second.observed[::-1], second.predicted[::-1], np.arange(len(second)), np.ones(len(second)))
    with pytest.raises(ValueError, match="same rows in the same order"):
        auc_difference(first, turned)


def test_both_are_compared_by_rank_and_by_loss() -> None:
    first, second = _samples()
    parts = [
        pd.DataFrame(
            {
                "candidate": name,
                "customer_id": one.customer.astype(str),
                "observed": one.observed,
                "predicted": one.predicted,
                "weight": 1.0,
            }
        )
        for name, one in (("additive", first), ("free", second))
    ]
    found = compare(pd.concat(parts), "additive", "free").set_index("metric")
    assert found.loc["auc", "difference"] == pytest.approx(auc_difference(first, second).value)
    expected = log_loss(first.observed, first.predicted) - log_loss(second.observed, second.predicted)
    assert found.loc["log_loss", "difference"] == pytest.approx(expected)
    assert found["n"].eq(2_000).all()
    assert found.loc["log_loss", "hi"] < 0 < found.loc["auc", "lo"]
