import itertools
import math
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pytest

from features.measures import Feature
from features.snapshot import DAY
from models.evaluation import Candidate, Predict, Rows, known_rows, silent
from models.search import choose_settings, chosen_setting, out_of_fold, settled
from models.splits import rolling_origin

WAIT = Feature("wait", "Wait.", "min", "lower", "journey", "support", "wait", "experience")
CUSTOMERS = 400


@pytest.fixture(scope="module")
def known():
    rng, days = np.random.default_rng(0), np.array([0, 30, 60, 90])
    n = CUSTOMERS * len(days)
    frame = pd.DataFrame(
        {
            "customer_id": np.repeat([f"c{i:03d}" for i in range(CUSTOMERS)], len(days)),
            "cutoff": pd.to_datetime(np.tile(days, CUSTOMERS) * DAY, unit="us", utc=True),
            "wait": rng.exponential(5, n),
        }
    )
    revenue = rng.normal(0, 1, n)
    revenue -= revenue[frame["cutoff"] > frame["cutoff"].min()].mean()  # so that 0 is the best number
    return known_rows(frame.assign(revenue=revenue), [WAIT], "revenue")


FOLDS = rolling_origin([0, 30 * DAY, 60 * DAY, 90 * DAY], gap_days=0, horizon_days=30)


def squared(observed: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return (observed - predicted) ** 2


def candidate(values: dict[str, float], default: str, seconds: float = 0.0, name: str = "constant") -> Candidate:
    """One that predicts the number of its setting."""

    def predict(value: float, test: Rows) -> np.ndarray:
        return np.full(len(test), value)

    def learn_each(train: Rows, seed: int, labels: Sequence[str]) -> Iterator[Predict]:
        for label in labels:
            time.sleep(seconds)
            yield lambda test, label=label: predict(values[label], test)

    def learn(train: Rows, seed: int) -> Predict:
        return next(learn_each(train, seed, [default]))

    return Candidate(name, "a number", learn, grid=tuple(values), default=default, learn_each=learn_each)


def tried(known, one: Candidate, **more: float) -> pd.DataFrame:
    return out_of_fold(known, FOLDS, [one], rng=np.random.default_rng(0), max_rows=999, tick=silent, **more)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"simple": 0.0, "middle": 0.001, "flexible": 0.0}, "simple"),  # equal losses
        ({"simple": 0.02, "middle": 0.0, "flexible": 0.01}, "simple"),  # worse, but not shown to be
        ({"simple": 2.0, "middle": 0.02, "flexible": 0.0}, "middle"),  # shown to be worse
        ({"simple": 3.0, "middle": 2.0, "flexible": 0.0}, "flexible"),
    ],
)
def test_the_simplest_setting_that_is_not_shown_to_be_worse_is_chosen(known, values, expected):
    one = candidate(values, "middle")
    settings = choose_settings(tried(known, one), [one], squared)
    assert settings["setting"].tolist() == list(values)
    assert settings["is_tried"].all()
    assert chosen_setting(settings, "constant") == expected


def test_every_setting_is_shown_with_the_interval_of_its_difference_from_the_best(known):
    one = candidate({"simple": 1.0, "flexible": 0.0}, "flexible")
    found = tried(known, one)
    worse = choose_settings(found, [one], squared).iloc[0]
    observed = known.observed[np.isin(known.keys()["cutoff"], found["cutoff"].unique())]
    assert worse["difference"] == pytest.approx(np.mean((observed - 1) ** 2 - observed**2))
    assert worse["lo"] < worse["difference"] < worse["hi"]
    assert worse["n"] == 3 * CUSTOMERS


def test_only_the_chosen_settings_go_on_and_baselines_stay(known):
    one = candidate({"simple": 2.0, "flexible": 0.0}, "simple")
    base = Candidate("base", "zero", lambda train, seed: lambda test: np.zeros(len(test)), is_baseline=True)
    found = out_of_fold(known, FOLDS, [one, base], rng=np.random.default_rng(0), max_rows=999, tick=silent)
    kept = settled(found, choose_settings(found, [one, base], squared))
    assert "setting" not in kept
    assert kept.groupby("candidate").size().to_dict() == {"constant": 3 * CUSTOMERS, "base": 3 * CUSTOMERS}
    assert (kept["predicted"] == 0).all()


def test_a_spent_budget_leaves_the_default_and_says_what_was_not_tried(known):
    one = candidate({"simple": 1.0, "middle": 0.5, "flexible": 0.0}, "middle")
    settings = choose_settings(tried(known, one, budget_seconds=0.0), [one], squared)
    assert settings["is_tried"].tolist() == [False, True, False]
    assert chosen_setting(settings, "constant") == "middle"
    assert settings["loss"].isna().tolist() == [True, False, True]


def test_a_setting_that_did_not_get_into_every_fold_does_not_count(known, monkeypatch):
    ticks = itertools.chain([0.0, 1.0, 1.0], itertools.repeat(99.0))
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    one = candidate({"a": 1.0, "b": 0.5, "c": 0.0}, "a")
    found = tried(known, one, budget_seconds=9.0)
    assert set(found["setting"]) == {"a"}
    assert found["fold"].nunique() == 3


def test_a_budget_that_is_not_spent_changes_nothing(known):
    one = candidate({"a": 1.0, "b": 0.5}, "a")
    pd.testing.assert_frame_equal(tried(known, one, budget_seconds=1e6), tried(known, one, budget_seconds=math.inf))


def test_seeds_do_not_depend_on_what_the_budget_allows(known):
    seeds: dict[float, list[int]] = {0.0: [], math.inf: []}
    for budget, told in seeds.items():
        one = candidate({"a": 1.0, "b": 0.5}, "a")
        learn_each = one.learn_each

        def told_each(train: Rows, seed: int, labels: Sequence[str], told=told, each=learn_each) -> Iterator[Predict]:
            told.append(seed)
            return each(train, seed, labels)

        spy = Candidate(one.name, one.meaning, one.learn, grid=one.grid, default=one.default, learn_each=told_each)
        tried(known, spy, budget_seconds=budget)
    assert seeds[0.0] == seeds[math.inf]
    assert len(seeds[0.0]) == 3
