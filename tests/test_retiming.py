"""A journey that goes faster: when its steps happen, and what is felt when."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from features.snapshot import DAY
from models.adjustment import Exposure
from models.exposures import exposure_columns, joined_columns, piece_columns, remembered, retimed_columns
from models.initiatives import Initiative, MovedTouchpoints, move_touchpoints
from models.references import fit_references, with_attempts
from models.retiming import sooner
from tests.test_initiatives import STUDY, read

CUSTOMERS = pa.table({"customer_key": [0, 1], "segment": ["basic", "premium"]})


def steps(at: list[int]) -> pa.Table:
    """Three steps of one support case, one of another, and a bill."""
    return pa.table(
        {
            "customer_key": [0, 0, 0, 0, 0], "journey": ["support", "support", "support", "support", "billing"],
            "journey_key": [1, 1, 1, 2, 3], "touchpoint": ["call"] * 5, "channel": ["phone"] * 5, "occurred_at": at,
            "wait": [10.0, 20.0, np.nan, 30.0, np.nan], "resolved": [0.0, 1.0, np.nan, 0.0, np.nan],
        }
    )  # fmt: skip


def faster(share: float) -> Initiative:
    return read(f"{{journey: support, measure: wait, speed_up: {share}}}")


def moved(share: float, at: list[int], after: int = 0, until: int = 1_000) -> MovedTouchpoints:
    return move_touchpoints(faster(share), STUDY, steps(at), CUSTOMERS, after, until)


AT = [100, 200, 400, 150, 180]


def test_the_time_between_steps_shrinks_and_the_first_stays():
    found = sooner(steps(AT), np.array(AT), "support", 0.5, after=0)
    assert found.tolist() == [100, 150, 250, 150, 180]


def test_what_happened_before_the_go_live_stays_and_later_steps_close_up_to_it():
    assert sooner(steps(AT), np.array(AT), "support", 0.5, after=160).tolist() == [100, 180, 280, 150, 180]


def test_a_speed_up_of_nothing_moves_nothing():
    found = moved(0, AT)
    assert (found.at == found.touchpoints["occurred_at"].to_numpy()).all()
    assert found.delivered["wait"].tolist() == [10.0, 20.0, 30.0]


def test_the_duration_shrinks_by_the_same_share_and_steps_without_one_move_as_well():
    found = moved(0.5, AT)
    assert found.touchpoints["occurred_at"].to_pylist() == [100, 200, 400, 150]
    assert found.at.tolist() == [100, 150, 250, 150]
    assert found.delivered["wait"] == pytest.approx([5.0, 10.0, np.nan, 15.0], nan_ok=True)


def test_steps_that_come_into_the_span_count_and_those_that_stay_beyond_do_not():
    assert moved(0.5, AT, until=260).touchpoints["occurred_at"].to_pylist() == [100, 200, 400, 150]
    assert moved(0.5, AT, until=240).touchpoints["occurred_at"].to_pylist() == [100, 200, 150]


def test_adding_what_is_felt_earlier_equals_rebuilding_from_the_moved_touchpoints():
    rng = np.random.default_rng(1)
    n = 300
    touches = pa.table(
        {
            "customer_key": np.sort(rng.integers(0, 2, n)), "journey": ["support"] * n,
            "journey_key": np.arange(n) // 3, "touchpoint": ["call"] * n, "channel": ["phone"] * n,
            "occurred_at": np.arange(1, n + 1) * DAY // 4, "wait": rng.gamma(2, 5, n), "resolved": rng.random(n),
        }
    )  # fmt: skip
    touches = with_attempts(touches)
    (reference,) = fit_references(STUDY, [Exposure("support", "wait")], touches, CUSTOMERS)
    found = move_touchpoints(faster(0.4), STUDY, touches, CUSTOMERS, 0, 200 * DAY)
    felt = exposure_columns([reference], touches, CUSTOMERS)
    spine = pa.table({"customer_key": [0, 1], "cutoff": [60 * DAY, 70 * DAY]})
    added = remembered(
        piece_columns(reference), joined_columns([felt, retimed_columns([reference], found, CUSTOMERS)]), spine, 200
    )
    # By hand: each deviation from what was to be expected, plus what its pieces change, decayed from where it would be.
    place = [touches["occurred_at"].to_pylist().index(t) for t in found.touchpoints["occurred_at"].to_pylist()]
    at = touches["occurred_at"].to_numpy().copy()
    wait = touches["wait"].to_numpy().copy()
    at[place], wait[place] = found.at, found.delivered["wait"]
    old, _ = reference.split(touches, CUSTOMERS)
    pieces = zip(reference.pieces(touches["wait"].to_numpy()), reference.pieces(wait), strict=True)
    now = [deviation + (after - before) for deviation, (before, after) in zip(old, pieces, strict=True)]
    key = touches["customer_key"].to_numpy()
    for row, (customer, cutoff) in enumerate(((0, 60 * DAY), (1, 70 * DAY))):
        here = (key == customer) & (at <= cutoff)
        by_hand = [
            (piece[here] * 2.0 ** (-(cutoff - at[here]) / DAY / half)).sum() for piece in now for half in (14, 60)
        ]
        assert added[row] == pytest.approx(by_hand, abs=1e-9)
