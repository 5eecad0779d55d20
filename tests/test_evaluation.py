import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import EmptyResultError, ModelError
from features.measures import Feature
from features.snapshot import DAY
from models.evaluation import (
    Candidate,
    Rows,
    known_rows,
    model_inputs,
    silent,
    thin_rows,
    verdict,
)
from models.metrics import revenue_metrics
from models.search import out_of_fold
from models.segments import measure
from models.splits import Fold, rolling_origin

WAIT = Feature("wait", "Wait.", "min", "lower", "journey", "support", "wait", "experience")


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    customers, days = 50, np.array([0, 30, 60, 90])
    n = customers * len(days)
    frame = pd.DataFrame(
        {
            "customer_id": np.repeat([f"c{i:02d}" for i in range(customers)], len(days)),
            "cutoff": pd.to_datetime(np.tile(days, customers) * DAY, unit="us", utc=True),
            "wait": rng.exponential(5, n),
            "revenue_past": rng.gamma(3, 10, n),
            "weight": rng.choice([1.0, 3.0], n),
            "is_mature": True,
        }
    )
    return frame.assign(revenue=frame["revenue_past"] / 2 + rng.normal(0, 1, n))


def constant(name: str, value: float, *, is_baseline: bool = False) -> Candidate:
    def learn(train: Rows, seed: int):
        return lambda test: np.full(len(test), value)

    return Candidate(name, "always the same", learn, is_baseline)


def test_only_mature_rows_with_a_known_outcome_and_a_weight_count(frame):
    frame.loc[0, "revenue"] = np.nan
    frame.loc[1, "is_mature"] = False
    frame.loc[2, "weight"] = 0.0
    known = known_rows(frame, [WAIT], "revenue")
    assert known.position.tolist() == list(range(3, 200))
    assert known.weight.mean() == pytest.approx(1.0)


def test_no_known_row_is_refused(frame):
    with pytest.raises(EmptyResultError, match="0 rows have a known 'revenue' and 1 features"):
        known_rows(frame.assign(revenue=np.nan), [WAIT], "revenue")


def test_no_feature_is_refused(frame):
    with pytest.raises(EmptyResultError, match=r"200 rows .* and 0 features"):
        known_rows(frame, [], "revenue")


@given(st.integers(1, 220), st.integers(0, 1000))
def test_thinning_keeps_the_cap_and_does_not_depend_on_row_order(cap, seed):
    n = 200
    frame = pd.DataFrame({"customer_id": np.arange(n) // 4, "cutoff": np.arange(n) % 4, "wait": 1.0, "revenue": 1.0})
    order = np.random.default_rng(seed).permutation(n)
    kept = []
    for some in (frame, frame.iloc[order]):
        known = known_rows(some, [WAIT], "revenue")
        index = thin_rows(known, np.arange(n), cap, np.random.default_rng(3))
        kept.append(sorted(some.iloc[index].index))
    assert kept[0] == kept[1]
    assert len(kept[0]) == min(cap, n)


def test_every_candidate_predicts_every_test_row_once(frame):
    folds = rolling_origin([0, 30 * DAY, 60 * DAY, 90 * DAY], gap_days=0, horizon_days=30)
    known = known_rows(frame, [WAIT], "revenue")
    told = []
    found = out_of_fold(
        known,
        folds,
        (constant("a", 1.0), constant("b", 2.0)),
        rng=np.random.default_rng(0),
        max_rows=50,
        tick=lambda message, done=0, total=0, /: told.append((done, total)),
    )
    assert not found.duplicated(["customer_id", "cutoff", "candidate"]).any()
    assert len(found) == 2 * 3 * 50
    assert told == [(i, 6) for i in range(6)]


def test_near_copies_count_as_one_customer_in_intervals(frame):
    known, fold = known_rows(frame, [WAIT], "revenue"), Fold((0,), 30 * DAY)
    rng = np.random.default_rng(0)
    found = out_of_fold(known, [fold], [constant("a", 40.0)], rng=rng, max_rows=99, tick=silent)
    found = found.assign(replica_group=found["customer_id"].str[:2])
    row = measure(found, "revenue", revenue_metrics).set_index("metric").loc["mae"]
    error, weight = (found["predicted"] - found["observed"]).abs(), found["weight"] / found["weight"].mean()
    sums = (weight * (error - np.average(error, weights=weight))).groupby(found["replica_group"]).sum()
    standard_error = np.sqrt((sums**2).sum() * len(sums) / (len(sums) - 1)) / len(found)
    assert row["hi"] - row["lo"] == pytest.approx(2 * 1.6448536 * standard_error)


def test_groups_of_near_copies_stay_with_the_predictions(frame):
    some = frame.assign(replica_group=frame["customer_id"])
    known, rng = known_rows(some, [WAIT], "revenue"), np.random.default_rng(0)
    found = out_of_fold(known, [Fold((0,), 30 * DAY)], [constant("a", 1.0)], rng=rng, max_rows=99, tick=silent)
    assert (found["replica_group"] == found["customer_id"]).all()


def test_a_fold_without_training_rows_is_refused(frame):
    known = known_rows(frame, [WAIT], "revenue")
    nothing = Fold((-DAY,), 0)
    with pytest.raises(EmptyResultError, match="0 rows to train on and 50 to test on"):
        out_of_fold(known, [nothing], [], rng=np.random.default_rng(0), max_rows=9, tick=silent)


def test_the_verdict_names_the_better_one_and_whether_the_baseline_is_beaten(frame):
    known = known_rows(frame, [WAIT], "revenue")
    folds = rolling_origin([0, 30 * DAY, 60 * DAY], gap_days=0, horizon_days=30)
    mean = float(frame["revenue"].mean())
    tried = (constant("good", mean), constant("bad", mean + 50), constant("plain", mean + 20, is_baseline=True))
    found = out_of_fold(known, folds, tried, rng=np.random.default_rng(0), max_rows=999, tick=silent)
    winner, gain, sentence = verdict(found, tried, lambda y, p: (y - p) ** 2, "squared error")
    assert winner == "good"
    assert gain.hi < 0
    assert sentence.startswith("good beats the best baseline (plain): squared error")
    table = measure(found, "revenue", revenue_metrics)
    assert set(table["fold"]) == {"all", "1970-01-31", "1970-03-02"}


def test_a_worse_winner_says_so(frame):
    known = known_rows(frame, [WAIT], "revenue")
    mean = float(frame["revenue"].mean())
    tried = (constant("bad", mean + 50), constant("plain", mean, is_baseline=True))
    folds = [Fold((0,), 30 * DAY)]
    found = out_of_fold(known, folds, tried, rng=np.random.default_rng(0), max_rows=999, tick=silent)
    _, _, sentence = verdict(found, tried, lambda y, p: (y - p) ** 2, "squared error")
    assert "bad is worse than the best baseline (plain)" in sentence


def test_a_panel_without_a_feature_of_the_model_is_refused_with_the_nearest_name(frame):
    with pytest.raises(ModelError, match=r"1 features that the panel does not have, such as 'waits'.*'wait'"):
        model_inputs(["wait", "waits"], frame, [WAIT])
