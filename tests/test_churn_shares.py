"""Shares of churn by a logistic fit beside the linear ones: known truth, samples of customers, separation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from features.raw_moments import moments_of_frame
from models.churn_shares import ChurnShares, churn_shares
from models.drivers import MISSING_FLAG, Driver
from models.importance import association


def drivers(*names: str) -> list[Driver]:
    return [Driver(name, "support" if name in "ab" else "billing", (name, MISSING_FLAG + name)) for name in names]


def customers(seed: int = 1, n: int = 1_500, slopes: tuple[float, ...] = (0.9, 0.0, 0.5)) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    risk = 1 / (1 + np.exp(1.5 - X @ np.array(slopes)))
    frame = pd.DataFrame(X, columns=list("abc")).assign(left=(rng.random(n) < risk).astype(float), w=1.0)
    frame.loc[rng.random(n) < 0.3, "a"] = np.nan
    return frame.assign(customer_id=[f"n{i // 2:05d}" for i in range(n)])


def run(frame: pd.DataFrame, names: str = "abc", **more: object) -> ChurnShares:
    return churn_shares(frame, drivers(*names), "left", rng=np.random.default_rng(0), **more)  # type: ignore[arg-type]


def test_shares_sum_to_one_and_find_what_customers_left_for() -> None:
    found = run(customers(n=6_000), weight="w")
    assert found.mcfadden.sum() == pytest.approx(1.0)
    assert found.linear.sum() == pytest.approx(1.0)
    assert found.mcfadden[0] > found.mcfadden[2] > 0.2
    assert found.mcfadden[1] < 0.01
    assert not found.error.any()
    assert (found.n_rows, found.n_all, found.n_customers) == (6_000, 6_000, 3_000)
    assert found.rank_correlation == pytest.approx(1.0)


def test_the_linear_shares_are_those_of_the_association() -> None:
    frame = customers()
    one = association(frame, drivers(*"abc"), "left", weight="w", rng=np.random.default_rng(1), replicates=10)
    known = {share.driver.columns[0]: share.share for share in one.shares}
    found = run(frame, weight="w").to_frame().set_index("feature")["share_linear"]
    assert found.to_dict() == pytest.approx({name: known[name] for name in "abc"}, abs=1e-9)


def test_with_rare_events_and_a_skewed_driver_the_two_differ() -> None:
    rng = np.random.default_rng(3)
    n = 12_000
    skewed = np.exp(1.3 * rng.normal(size=n)) / 5
    flat = rng.normal(size=n)
    risk = 1 / (1 + np.exp(4.5 - 1.2 * np.minimum(skewed, 4) - 0.55 * flat))
    frame = pd.DataFrame({"a": skewed, "c": flat, "left": (rng.random(n) < risk) * 1.0, "customer_id": np.arange(n)})
    found = churn_shares(frame, [Driver("a", "s", ("a",)), Driver("c", "b", ("c",))], "left", rng=rng)
    assert abs(found.mcfadden[0] - found.linear[0]) > 0.05


def test_many_rows_are_a_sample_of_whole_customers_that_does_not_depend_on_their_order() -> None:
    frame = customers(n=4_000)
    found, again = run(frame, most_rows=1_001), run(frame.sample(frac=1, random_state=1), most_rows=1_001)
    assert (found.n_rows, found.n_customers, found.n_all) == (1_000, 500, 4_000)
    np.testing.assert_allclose(found.mcfadden, again.mcfadden, atol=1e-9)


def test_a_flag_that_tells_the_outcome_is_dropped_and_told_of() -> None:
    frame = customers()
    frame.loc[frame["a"].isna(), "left"] = 1.0
    found = run(frame)
    assert found.notes == (
        "Whether 'support: a' applied tells left for certain in some rows: there it counts as average.",
    )
    assert found.mcfadden.sum() == pytest.approx(1.0)


def test_a_driver_that_tells_the_outcome_is_left_out_and_the_others_are_shared_out() -> None:
    frame = customers().assign(b=lambda rows: np.where(rows["left"] == 1, 2.0, rows["b"].clip(upper=1.0)))
    found = run(frame)
    assert len(found.notes) == 1
    assert "'support: b' tells left for certain" in found.notes[0]
    assert np.isnan(found.mcfadden[1])
    assert np.nansum(found.mcfadden) == pytest.approx(1.0)
    alone = run(frame, "b")
    assert np.isnan(alone.mcfadden).all()
    assert alone.notes[-1] == "No driver is left that leaves left open."


def test_a_driver_that_does_not_vary_takes_no_part_and_an_outcome_that_is_no_event_is_refused() -> None:
    found = run(customers().assign(b=1.0))
    assert np.isnan(found.mcfadden[1])
    assert found.notes == ()
    with pytest.raises(ValueError, match="other values than 0 and 1"):
        run(customers().assign(left=lambda rows: rows["left"] * 2))
    with pytest.raises(ValueError, match="drivers is empty"):
        churn_shares(customers(), [], "left", rng=np.random.default_rng(0))


def rarely_left(n: int = 60_000) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    skewed, flat = np.minimum(np.exp(1.3 * rng.normal(size=n)) / 5, 4), rng.normal(size=n)
    risk = 1 / (1 + np.exp(5.7 - 1.0 * skewed - 0.6 * flat))
    frame = pd.DataFrame({"a": skewed, "b": rng.normal(size=n), "c": flat, "left": (rng.random(n) < risk) * 1.0})
    return frame.assign(customer_id=np.arange(n) // 4)


RARE_DRIVERS = [Driver(name, "s" if name in "ab" else "b", (name,)) for name in "abc"]


def test_shares_of_a_sample_are_those_of_all_rows_where_events_are_rare() -> None:
    frame = rarely_left()
    every = churn_shares(frame, RARE_DRIVERS, "left", rng=np.random.default_rng(0), most_rows=len(frame))
    assert abs(every.mcfadden - every.linear).max() > 0.05
    for seed in range(4):
        found = churn_shares(frame, RARE_DRIVERS, "left", rng=np.random.default_rng(seed), most_rows=5_000)
        np.testing.assert_allclose(found.linear, every.linear, atol=1e-9)
        np.testing.assert_allclose(found.mcfadden, every.mcfadden, atol=0.02)
        assert found.mcfadden.sum() == pytest.approx(1.0)
        assert found.n_events == every.n_events


def test_sums_that_are_there_are_used_for_the_linear_shares() -> None:
    frame = rarely_left(20_000)
    raw = moments_of_frame(frame.assign(b=frame["a"], a=frame["b"]), list("abc"), ["left"])
    one, other = (
        churn_shares(frame, RARE_DRIVERS, "left", rng=np.random.default_rng(0), most_rows=4_000, raw=sums)
        for sums in (None, raw)
    )
    np.testing.assert_allclose(one.linear, other.linear[[1, 0, 2]], atol=1e-9)


@pytest.mark.parametrize(("events", "is_fitted"), [(0, False), (49, False), (50, True)])
def test_an_outcome_that_hardly_ever_or_always_happens_has_a_note_and_no_shares(
    events: int, *, is_fitted: bool
) -> None:
    frame = customers().assign(customer_id=np.arange(1_500), left=(np.arange(1_500) < events) * 1.0)
    for turned in (frame, frame.assign(left=1 - frame["left"])):
        found = run(turned, "bc")
        assert np.isfinite(found.mcfadden).all() == is_fitted
        assert bool(found.notes) != is_fitted
    assert is_fitted or f"{1_500 - events:,} have rows with it and {events} rows without; at least 50" in found.notes[0]


def test_more_drivers_than_can_be_refitted_have_a_note_and_no_shares() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(1_000, 61)), columns=[f"x{k}" for k in range(61)])
    frame = frame.assign(left=(frame["x0"] + rng.normal(size=1_000) > 0) * 1.0, customer_id=np.arange(1_000))
    many = [Driver(name, f"j{k % 6}", (name,)) for k, name in enumerate(frame.columns[:61])]
    found = churn_shares(frame, many, "left", rng=rng)
    assert np.isnan(found.mcfadden).all()
    assert found.notes == ("No shares of a logistic fit of left: 61 drivers; at most 60 can be refitted.",)


def test_a_customer_with_very_many_rows_does_not_shrink_the_sample() -> None:
    frame = customers(n=6_000)
    frame.loc[:4_999, "customer_id"] = "a great one"
    for seed in range(3):
        found = churn_shares(frame, drivers(*"abc"), "left", rng=np.random.default_rng(seed), most_rows=900)
        assert found.n_rows >= 899
