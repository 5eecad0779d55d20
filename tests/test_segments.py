import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.measures import Feature
from features.snapshot import DAY
from models.churn import evaluate_churn
from models.metrics import churn_metrics
from models.segments import by_segment, measure, segment_labels, segmenting
from models.splits import rolling_origin
from tests.forecasts import churners


def feature(name: str, kind: str = "category", role: str = "covariate") -> Feature:
    return Feature(name, name, "", "none", "customer", None, None, role, kind)


PLAN, TENURE = feature("plan"), feature("tenure_days", "number")


def labels_of(column: list, feature: Feature = PLAN, weight=None) -> list[str]:
    frame = pd.DataFrame({feature.name: column})
    found = segment_labels(frame, [feature], np.ones(len(column)) if weight is None else np.asarray(weight, float))
    return found[feature.name].tolist() if feature.name in found else []


@pytest.fixture
def predictions() -> pd.DataFrame:
    s = churners(400, 200)
    once = pd.DataFrame(
        {
            "customer_id": [f"c{i:03d}" for i in s.customer],
            "cutoff": pd.to_datetime(np.arange(400) // 200 * DAY, unit="us", utc=True),
            "predicted": s.predicted,
            "observed": s.observed,
            "weight": s.weight,
            "fold": np.arange(400) // 200,
        }
    )
    return pd.concat([once.assign(candidate="a"), once.assign(candidate="b", predicted=0.2)], ignore_index=True)


@pytest.fixture
def labels(predictions: pd.DataFrame) -> pd.DataFrame:
    keys = predictions.loc[predictions["candidate"] == "a", ["customer_id", "cutoff"]].reset_index(drop=True)
    return keys.assign(plan=np.where(keys["customer_id"] < "c050", "basic", "plus"), fold=["x", "y"] * 200)


def test_each_segment_is_measured_as_if_it_were_alone(predictions, labels):
    table = by_segment(predictions, labels, "churn", churn_metrics)
    assert list(table) == ["outcome", "candidate", "metric", "value", "lo", "hi", "n", "fold", "segment"]
    order = ["all", "plan = basic", "plan = plus", "fold = x", "fold = y"]
    assert list(dict.fromkeys(table["segment"])) == order
    alone = predictions.loc[predictions["customer_id"] < "c050"]
    expected = measure(alone, "churn", churn_metrics).query("fold == 'all'").reset_index(drop=True)
    found = table.loc[table["segment"] == "plan = basic"].reset_index(drop=True)
    pd.testing.assert_frame_equal(found.drop(columns="segment"), expected)


def test_the_segment_all_is_the_whole(predictions, labels):
    found = by_segment(predictions, labels, "churn", churn_metrics).query("segment == 'all'").reset_index(drop=True)
    expected = measure(predictions, "churn", churn_metrics).query("fold == 'all'").reset_index(drop=True)
    pd.testing.assert_frame_equal(found.drop(columns="segment"), expected)


def test_order_of_predictions_and_of_labels_does_not_matter(predictions, labels):
    mixed = (predictions.sample(frac=1, random_state=1), labels.sample(frac=1, random_state=2))
    keys = ["candidate", "segment", "metric"]
    first, second = (
        by_segment(*tables, "churn", churn_metrics).sort_values(keys, ignore_index=True)
        for tables in ((predictions, labels), mixed)
    )
    pd.testing.assert_frame_equal(first, second)


def test_a_segment_without_churners_says_how_many_it_rests_on_and_leaves_ranking_open(predictions, labels):
    calm = predictions.assign(observed=predictions["observed"].where(predictions["customer_id"] >= "c050", 0.0))
    rows = by_segment(calm, labels, "churn", churn_metrics).query("segment == 'plan = basic' and candidate == 'a'")
    values = rows.set_index("metric")
    assert np.isnan(values.loc["auc", "value"])
    assert np.isnan(values.loc["lift_10", "value"])
    assert values.loc["log_loss", "value"] > 0
    assert (values["n"] == 100).all()


def test_a_prediction_without_labels_is_in_the_whole_only(predictions, labels):
    known = labels.loc[labels["customer_id"] != "c000"]
    table = by_segment(predictions, known, "churn", churn_metrics).query("metric == 'brier' and candidate == 'a'")
    n = table.set_index("segment")["n"]
    assert n["all"] == 400
    assert n["plan = basic"] + n["plan = plus"] == 398


def test_two_labels_for_one_row_are_a_mistake(predictions, labels):
    with pytest.raises(pd.errors.InvalidIndexError, match="unique"):
        by_segment(predictions, pd.concat([labels, labels.head(1)]), "churn", churn_metrics)


def test_small_levels_are_lumped_and_missing_is_a_level():
    column = ["a"] * 120 + ["b"] * 60 + [None] * 19 + ["rare"]
    assert set(labels_of(column)) == {"a", "b", "(missing)", "other"}
    assert labels_of(column)[-1] == "other"
    assert labels_of(column, weight=[1] * 199 + [5])[-1] == "rare"


def test_the_twelve_largest_levels_are_told_apart_and_of_equal_ones_the_first_by_name():
    column = [f"l{i:02d}" for i in range(20) for _ in range(5)]
    assert set(labels_of([*column, "l19"])) == {*(f"l{i:02d}" for i in range(11)), "l19", "other"}


def test_one_level_makes_no_segments():
    assert labels_of(["a"] * 10) == []
    assert labels_of([f"id{i}" for i in range(1000)]) == []


@given(st.lists(st.sampled_from(["a", "b", "c", None, "other"]), min_size=2, max_size=40), st.randoms())
def test_the_label_of_a_row_does_not_depend_on_row_order(column, random):
    order = list(range(len(column)))
    random.shuffle(order)
    straight = labels_of(column)
    assert labels_of([column[i] for i in order]) == [straight[i] for i in order if straight]


def test_tenure_is_cut_into_bands():
    bands = ["below 90 days", "90 days to 1 year", "1 to 2 years", "2 to 5 years", "5 years and more", "(missing)"]
    assert labels_of([89.9, 90, 365, 730, 1825, None], TENURE) == bands
    assert labels_of([0, 364], TENURE) == bands[:2]


def test_what_a_model_looks_at_is_no_segment():
    others = (feature("wait", "number", "experience"), feature("last_channel", "category", "context"))
    assert segmenting((PLAN, *others, TENURE, feature("age", "number"))) == (PLAN, TENURE)


def test_an_evaluation_holds_its_segments():
    rng = np.random.default_rng(0)
    n = 1200
    frame = pd.DataFrame(
        {
            "customer_id": np.repeat([f"c{i:03d}" for i in range(n // 4)], 4),
            "cutoff": pd.to_datetime(np.tile(np.array([0, 30, 60, 90]) * DAY, n // 4), unit="us", utc=True),
            "plan": np.repeat(rng.choice(["basic", "plus"], n // 4), 4),
            "wait": rng.exponential(5, n),
            "is_mature": True,
            "is_churned": (rng.random(n) < 0.2).astype(float),
        },
        index=np.zeros(n, dtype=int),
    )
    folds = rolling_origin([0, 30 * DAY, 60 * DAY, 90 * DAY], gap_days=0, horizon_days=30)
    found = evaluate_churn(frame, (PLAN, feature("wait", "number", "experience")), folds, rng)
    assert list(dict.fromkeys(found.segments["segment"])) == ["all", "plan = basic", "plan = plus"]
    brier = found.segments.query("metric == 'brier'").pivot_table("n", "candidate", "segment")
    assert (brier["all"] == brier["plan = basic"] + brier["plan = plus"]).all()
    assert len(found.metrics.query("fold == 'all' and metric == 'brier'")) == found.metrics["candidate"].nunique()
