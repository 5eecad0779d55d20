"""Repairing the worst third against polishing the best, on worlds where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from models.adjustment import Exposure
from models.flat_thirds import asymmetries
from tests.flat_worlds import NAMES, data_of, panel

WAIT = Exposure("support", "wait")


def thirds(frame, exposure: Exposure = WAIT):
    return {one.outcome: one for one in asymmetries(data_of(frame), [exposure], learners=("linear",))}


def test_where_every_minute_counts_alike_repair_and_polish_are_alike():
    found = thirds(panel(3_000))["revenue"]
    # Fewer minutes are better: one minute less brings 1.
    assert abs(found.worst.value - 1.0) < 3 * found.worst.se
    assert abs(found.best.value - 1.0) < 3 * found.best.se
    assert found.difference.lo < 0 < found.difference.hi


def test_where_only_long_waits_hurt_repair_is_worth_more():
    frame = panel(3_000, slope=0.0)
    wait = frame[NAMES["wait"]].fillna(0.0)
    border = wait[wait > 0].quantile(2 / 3)
    found = thirds(frame.assign(revenue=frame["revenue"] - 2.0 * np.maximum(wait - border, 0)))["revenue"]
    assert found.worst.lo < 2.0 < found.worst.hi
    assert found.best.lo < 0.0 < found.best.hi
    assert found.difference.lo > 0
    assert found.worst_to == pytest.approx(border, rel=0.01)
    assert found.best_to < found.best_from < found.worst_to


def test_thirds_share_luck_so_the_difference_is_no_sum_of_two_errors():
    found = thirds(panel(1_500))["revenue"]
    assert found.difference.se != pytest.approx(np.hypot(found.worst.se, found.best.se), rel=1e-3)


def test_two_values_have_no_best_third():
    found = thirds(panel(600), Exposure("billing", "error"))["revenue"]
    assert found.reason == "It has two values only: there is no best third to polish."
    assert np.isnan(found.difference.value)


def test_few_that_can_be_improved_are_refused():
    frame = panel(600)
    frame[NAMES["wait"]] = frame[NAMES["wait"]].clip(lower=frame[NAMES["wait"]].quantile(0.4))
    assert "customers of the best third can be improved" in thirds(frame)["revenue"].reason
