"""Drivers as blocks of columns: moments by linear algebra against columns filled and standardised row by row."""

import numpy as np
import pandas as pd
import pytest

from features.raw_moments import moments_of_frame
from models.controls import control_matrix
from models.drivers import MISSING_FLAG, Driver, base_columns, design_of
from models.moments import group_moments

DRIVERS = (Driver("a", "one", ("a", f"{MISSING_FLAG}a")), Driver("b", "one", ("b",)))
CONTROLS = ["segment", "age", "a"]


def rows(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = 400
    return pd.DataFrame(
        {
            "customer_id": [f"c{k}" for k in np.arange(n) // 3],
            "a": np.where(rng.random(n) < 0.3, np.nan, rng.gamma(2, 1e3, n) + 1e6),
            "b": rng.normal(size=n),
            "age": np.where(rng.random(n) < 0.1, np.nan, rng.normal(40, 9, n)),
            "segment": np.array(["x", "y", None], dtype=object)[rng.integers(0, 3, n)],
            "empty": np.nan,
            "same": 29.3,
            "y": np.where(rng.random(n) < 0.2, np.nan, rng.normal(5, 2, n)),
            "weight": rng.uniform(0.5, 2, n),
        }
    )


def test_moments_are_those_of_columns_filled_with_means_and_standardised() -> None:
    frame = rows()
    raw = moments_of_frame(frame, ["a", "b", "age", "segment"], ["y"], weight="weight")
    design = design_of(raw, DRIVERS, CONTROLS, "y")
    used = frame[frame["y"].notna()].reset_index(drop=True)
    w = used["weight"].to_numpy()
    flags = used["a"].isna().astype(float)
    columns = used[["a"]].assign(flag=flags, b=used["b"], y=used["y"])
    mean = np.average(columns["a"][flags == 0], weights=w[flags == 0])
    columns["a"] = columns["a"].fillna(mean)
    known = control_matrix(used, CONTROLS, w)
    values = np.column_stack([known, columns])
    values -= w @ values / w.sum()
    values /= np.sqrt(w @ values**2 / w.sum())
    assert design.n_controls == known.shape[1] == 7
    assert design.blocks == ((7, 8), (9,))
    assert design.others(design.blocks[0]) == [*range(7), 9]
    expected = group_moments(values, used["customer_id"], w)
    # groups are numbered by their customers in both
    np.testing.assert_allclose(design.moments.sums, expected.sums, atol=1e-8)
    assert (design.moments.n_rows, design.moments.n_customers) == (expected.n_rows, expected.n_customers)


def test_what_does_not_vary_or_is_never_there_is_nothing() -> None:
    drivers = (Driver("empty", "one", ("empty", f"{MISSING_FLAG}empty")), Driver("same", "one", ("same",)))
    design = design_of(moments_of_frame(rows(), ["empty", "same"], ["y"], weight="weight"), drivers, (), "y")
    total = design.moments.total()
    assert not total[1:4].any()
    assert total[4, 4] == pytest.approx(total[0, 0])


def test_a_flag_of_what_is_never_missing_is_nothing() -> None:
    drivers = (Driver("b", "one", ("b", f"{MISSING_FLAG}b")),)
    assert base_columns(drivers) == ("b",)
    total = design_of(moments_of_frame(rows(), ["b"], ["y"]), drivers, (), "y").moments.total()
    assert not total[2].any()


def test_columns_that_were_not_summed_are_named() -> None:
    raw = moments_of_frame(rows(), ["b"], ["y"])
    with pytest.raises(ValueError, match=r"'a' was not summed as a number"):
        design_of(raw, DRIVERS, (), "y")
    with pytest.raises(ValueError, match=r"'z' was not summed"):
        design_of(raw, DRIVERS[1:], (), "z")
