"""Shares of churn by a logistic fit beside the linear ones: known truth, samples of customers, separation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

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
