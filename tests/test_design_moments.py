"""Drivers as blocks of columns: moments by linear algebra against columns filled and standardised row by row."""

import numpy as np
import pandas as pd
import pytest

from features.raw_moments import moments_of_frame
from models.design_moments import design_moments
from models.drivers import MISSING_FLAG, Driver, base_columns, design_matrix
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
    design = design_moments(raw, DRIVERS, CONTROLS, "y")
    used = frame[frame["y"].notna()].reset_index(drop=True)
    rowwise = design_matrix(used, DRIVERS, CONTROLS, "y", "weight")
    X, w = rowwise.values, rowwise.weight  # noqa: PD011
    scale = np.sqrt(w @ X**2 / w.sum())
    assert design.n_controls == rowwise.n_controls == 7
    assert design.blocks == rowwise.blocks == ((7, 8), (9,))
    assert design.others(design.blocks[0]) == [*range(7), 9]
    # a deviation is taken over all rows here and over those with a value there
    expected = group_moments(X / scale, used["customer_id"], w)
    # groups are numbered by their customers in both
    np.testing.assert_allclose(design.moments.sums, expected.sums, atol=1e-8)
    assert (design.moments.n_rows, design.moments.n_customers) == (expected.n_rows, expected.n_customers)


def test_what_does_not_vary_or_is_never_there_is_nothing() -> None:
    drivers = (Driver("empty", "one", ("empty", f"{MISSING_FLAG}empty")), Driver("same", "one", ("same",)))
    design = design_moments(moments_of_frame(rows(), ["empty", "same"], ["y"], weight="weight"), drivers, (), "y")
    total = design.moments.total()
    assert not total[1:4].any()
    assert total[4, 4] == pytest.approx(total[0, 0])


def test_a_flag_of_what_is_never_missing_is_nothing() -> None:
    drivers = (Driver("b", "one", ("b", f"{MISSING_FLAG}b")),)
    assert base_columns(drivers) == ("b",)
    total = design_moments(moments_of_frame(rows(), ["b"], ["y"]), drivers, (), "y").moments.total()
    assert not total[2].any()


def test_columns_that_were_not_summed_are_named() -> None:
    raw = moments_of_frame(rows(), ["b"], ["y"])
    with pytest.raises(ValueError, match=r"'a' was not summed as a number"):
        design_moments(raw, DRIVERS, (), "y")
    with pytest.raises(ValueError, match=r"'z' was not summed"):
        design_moments(raw, DRIVERS[1:], (), "z")
