import math

import numpy as np
import pytest
from scipy.special import expit

from models.estimates import Sample
from models.realised import realised


def batch(
    rng: np.random.Generator, n: int = 1500, *, level: float = 0.0, noise: float = 0.0, slope: float = 1.0
) -> Sample:
    """Customers with a risk, and who left: truly off in level, in slope, or by what the model does not see."""
    score = rng.normal(-2, 1, n)
    outcome = rng.random(n) < expit(level + slope * (score + 2) - 2 + noise * rng.normal(size=n))
    return Sample.of(outcome.astype(float), expit(score), np.arange(n), np.ones(n))


def promise(rng: np.random.Generator) -> list[Sample]:
    return [batch(rng, 2500) for _ in range(3)]


def test_a_kept_promise_is_called_broken_no_more_often_than_stated() -> None:
    rng = np.random.default_rng(1)
    broken = sum(
        bool(realised(batch(rng, 600), [batch(rng, 900) for _ in range(3)], share=0.1, alpha=0.05).broken("no"))
        for _ in range(120)
    )
    assert broken <= 12  # 6 are expected at most; more than 12 has a chance of 0.5 %


def test_a_month_in_which_twice_as_many_leave_breaks_the_promise_of_calibration() -> None:
    rng = np.random.default_rng(2)
    found = realised(batch(rng, level=1.0), promise(rng), share=0.1, alpha=0.01)
    assert "calibration_intercept" in found.broken("no")
    assert "auc" not in found.broken("no", "doubtful")


def test_a_model_that_no_longer_sees_who_leaves_breaks_the_promise_of_ranking() -> None:
    rng = np.random.default_rng(3)
    found = realised(batch(rng, 4000, slope=0.1), promise(rng), share=0.1, alpha=0.01)
    assert {"auc", "calibration_slope", "lift"} <= set(found.broken("no"))


def test_a_better_ranking_than_promised_breaks_nothing() -> None:
    rng = np.random.default_rng(4)
    better = realised(batch(rng), [batch(rng, 2500, slope=0.4) for _ in range(3)], share=0.1, alpha=0.01)
    assert not {"auc", "lift"} & set(better.broken("no", "doubtful"))


def test_the_numbers_beside_the_promise_are_those_of_the_batch() -> None:
    rng = np.random.default_rng(5)
    sample = batch(rng)
    found = realised(sample, promise(rng), share=0.2, alpha=0.01)
    table = found.table.set_index("metric")
    order = np.argsort(-sample.predicted)[: len(sample) // 5]
    lift = sample.observed[order].mean() / sample.observed.mean()
    assert table.loc["lift", "value"] == pytest.approx(lift, rel=1e-9)
    assert table.loc["brier", "value"] == pytest.approx(np.mean((sample.observed - sample.predicted) ** 2))
    assert (table["lo"] < table["value"]).all()
    assert (table["promised_lo"] < table["promised"]).all()
    assert table.loc["brier", "kept"] == ""
    assert (found.n, found.churned, found.cutoffs) == (1500, int(sample.observed.sum()), 3)
    assert found.rate == pytest.approx(sample.observed.mean())


def test_without_a_promise_or_without_leavers_nothing_is_judged() -> None:
    rng = np.random.default_rng(6)
    alone = realised(batch(rng), [], share=0.1, alpha=0.01)
    assert alone.table["promised"].isna().all()
    assert alone.broken("yes", "no", "doubtful") == ()
    nobody = Sample.of(np.zeros(50), np.full(50, 0.1), np.arange(50), np.ones(50))
    assert realised(nobody, promise(rng), share=0.1, alpha=0.01).table.empty
    none = Sample.of([], [], [], [])
    assert math.isnan(realised(none, promise(rng), share=0.1, alpha=0.01).rate)


def test_months_that_differ_by_themselves_break_no_promise_more_often_than_stated() -> None:
    rng = np.random.default_rng(7)
    broken = {1: 0, 2: 0}
    for cutoffs in broken:
        for _ in range(40):
            months = [batch(rng, 1500, level=0.2 * rng.normal()) for _ in range(cutoffs + 1)]
            broken[cutoffs] += bool(realised(months[0], months[1:], share=0.1, alpha=0.01).broken("no"))
    assert broken[1] == 0
    assert broken[2] <= 3  # 0.4 of 40 are expected at most; more than 3 has a chance of 0.1 %


@pytest.mark.parametrize("cutoffs", [3, 4, 5])
def test_a_worsening_is_caught_though_months_differ(cutoffs: int) -> None:
    rng = np.random.default_rng(8)
    months = [batch(rng, 2500, level=0.1 * rng.normal()) for _ in range(cutoffs)]
    worse = batch(rng, 4000, level=1.5 + 0.1 * rng.normal(), slope=0.1)
    assert {"auc", "calibration_intercept"} <= set(realised(worse, months, share=0.1, alpha=0.01).broken("no"))


def test_one_test_cutoff_makes_a_broken_promise_doubtful_at_most() -> None:
    rng = np.random.default_rng(9)
    found = realised(batch(rng, 4000, level=2.5), promise(rng)[:1], share=0.1, alpha=0.01)
    assert found.broken("no") == ()
    assert "calibration_intercept" in found.broken("doubtful")
