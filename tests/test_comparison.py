import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from models.comparison import auc_difference, compare
from models.metrics import Sample


def data(customers: int, rng: np.random.Generator) -> pd.DataFrame:
    """Three rows a customer; two predictions that share most of what they know."""
    customer = np.repeat(np.arange(customers), 3)
    truth = rng.normal(size=customers)[customer]
    observed = (rng.random(len(customer)) < 1 / (1 + np.exp(1 - truth))).astype(float)
    shared = truth + rng.normal(size=customers)[customer]
    first, second = (np.round(shared + size * rng.normal(size=len(customer)), 1) for size in (0.3, 0.6))
    return pd.DataFrame({"customer": customer, "observed": observed, "first": first, "second": second})


def difference(rows: pd.DataFrame):
    first, second = (
        Sample.of(rows["observed"], rows[name], rows["customer"], np.ones(len(rows))) for name in ("first", "second")
    )
    return auc_difference(first, second)


def test_the_value_is_the_difference_of_the_areas():
    rows = data(200, np.random.default_rng(0))
    areas = [roc_auc_score(rows["observed"], rows[name]) for name in ("first", "second")]
    assert difference(rows).value == pytest.approx(areas[0] - areas[1], abs=1e-12)


def test_the_interval_is_that_of_a_bootstrap_of_customers():
    rng = np.random.default_rng(1)
    rows = data(300, rng)
    by_customer = np.arange(len(rows)).reshape(-1, 3)
    drawn = []
    for _ in range(400):
        some = rows.iloc[by_customer[rng.integers(0, 300, 300)].ravel()]
        drawn.append(roc_auc_score(some["observed"], some["first"]) - roc_auc_score(some["observed"], some["second"]))
    found = difference(rows)
    assert found.hi - found.lo == pytest.approx(2 * 1.6448536 * np.std(drawn), rel=0.15)


def test_paired_intervals_hold_what_they_promise():
    rng = np.random.default_rng(2)
    large = difference(data(20_000, rng)).value
    found = [difference(data(150, rng)) for _ in range(300)]
    covered = np.mean([one.lo <= large <= one.hi for one in found])
    assert covered == pytest.approx(0.9, abs=0.06)


def test_a_prediction_does_not_differ_from_itself():
    rows = data(50, np.random.default_rng(3)).assign(second=lambda frame: frame["first"])
    found = difference(rows)
    assert (found.value, found.lo, found.hi) == (0.0, 0.0, 0.0)


def test_one_class_has_no_difference():
    rows = data(20, np.random.default_rng(4)).assign(observed=1.0)
    assert np.isnan(difference(rows).value)


def test_other_rows_are_refused():
    rows = data(20, np.random.default_rng(5))
    first = Sample.of(rows["observed"], rows["first"], rows["customer"], np.ones(60))
    second = Sample.of(1 - rows["observed"], rows["first"], rows["customer"], np.ones(60))
    with pytest.raises(ValueError, match="the same rows in the same order"):
        auc_difference(first, second)


def test_the_table_says_both_metrics_of_the_pair():
    rows = data(100, np.random.default_rng(6))
    parts = [
        pd.DataFrame(
            {
                "customer_id": rows["customer"],
                "candidate": name,
                "observed": rows["observed"],
                "predicted": 1 / (1 + np.exp(1 - rows[name])),
                "weight": 1.0,
            }
        )
        for name in ("first", "second")
    ]
    found = compare(pd.concat(parts, ignore_index=True), "first", "second").set_index("metric")
    assert found.loc["auc", "difference"] == pytest.approx(difference(rows).value)
    assert found.loc["log_loss", "difference"] < 0
    assert (found["n"] == 300).all()
