"""Journey premium: claimed where journeys carry something, and not where they do not."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import binom

from features.errors import EmptyResultError
from features.measures import Feature
from features.snapshot import DAY
from models.metrics import Sample, churn_metrics
from models.premium import Premium, journey_premium
from models.splits import AnyFold, grouped, rolling_origin

DAYS = tuple(range(0, 180, 30))
CALL, CHAT = "support__call__wait_min__mean", "support__chat__wait_min__mean"
WORST, DECAYED, EFFORT = "support__wait_min__worst", "support__wait_min__decayed", "support__effort_steps__mean"


def feature(name: str, level: str = "journey", measure: str | None = "wait", role: str = "experience") -> Feature:
    journey = None if level == "customer" else "support"
    touchpoint = "call" if level == "touchpoint" else None
    return Feature(name, name, "min", "lower", level, journey, measure, role, touchpoint=touchpoint)  # type: ignore[arg-type]


FEATURES = (
    feature(CALL, "touchpoint"),
    feature(CHAT, "touchpoint"),
    feature(WORST),
    feature(DECAYED),
    feature(EFFORT, measure=None),
    feature("tenure_days", "customer", None, "covariate"),
)


def panel(customers: int, rng: np.random.Generator, carried: float = 0.0) -> pd.DataFrame:
    """Follow customers until they leave: touchpoints drive churn, taste lasts, and so does effort, which may drive too.

    Worst and decayed repeat the waits with noise, so that they correlate with churn without carrying anything.
    """
    taste, habit = rng.normal(0, 0.7, customers), rng.gamma(2, 1, customers)
    present, months = np.ones(customers, dtype=bool), []
    for day in DAYS:
        call, chat = rng.gamma(2, 4, (2, customers))
        effort = habit + 0.3 * rng.exponential(1, customers)
        risk = expit(-3.0 + 0.08 * call + 0.04 * chat + taste + carried * (effort - 2.3))
        leaves = rng.random(customers) < risk
        month = pd.DataFrame(
            {
                "customer_id": [f"c{i:04d}" for i in range(customers)],
                "cutoff": pd.Timestamp(day, unit="D", tz="UTC"),
                CALL: call,
                CHAT: chat,
                WORST: np.maximum(call, chat) + rng.exponential(4, customers),
                DECAYED: (call + chat) / 2 + rng.normal(0, 2, customers),
                EFFORT: effort,
                "tenure_days": 100.0 + day + 10 * habit,
                "is_churned": leaves.astype(float),
                "is_mature": True,
            }
        )
        months.append(month[present])
        present &= ~leaves
    return pd.concat(months, ignore_index=True)


def folds(count: int = 1) -> tuple[AnyFold, ...]:
    return rolling_origin([day * DAY for day in DAYS], gap_days=0, horizon_days=30, folds=count)


def compared(seed: int, customers: int = 300, carried: float = 0.0, families: tuple[str, ...] | None = None) -> Premium:
    rng = np.random.default_rng(seed)
    frame = panel(customers, rng, carried)
    return journey_premium(frame, FEATURES, folds(), rng, families=families, leaks=())


@pytest.fixture(scope="module")
def carrying() -> tuple[pd.DataFrame, Premium]:
    frame = panel(900, np.random.default_rng(1), carried=0.7)
    return frame, journey_premium(frame, FEATURES, folds(2), np.random.default_rng(2))


def claims(repetitions: int, families: tuple[str, ...] | None) -> int:
    return sum(compared(seed, families=families).verdict == "journeys add" for seed in range(repetitions))


def test_where_journeys_carry_nothing_claims_are_rare() -> None:
    """Against a touchpoint model in the same setting, terms that loosen its penalty were claimed 8 times in 40."""
    assert claims(60, ("logistic",)) <= binom.ppf(0.95, 60, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("repetitions", "families"), [(200, ("logistic",)), (60, None)])
def test_where_journeys_carry_nothing_claims_are_rare_for_long(
    repetitions: int, families: tuple[str, ...] | None
) -> None:
    assert claims(repetitions, families) <= binom.ppf(0.95, repetitions, 0.05)


def test_where_journeys_carry_something_it_is_claimed(carrying: tuple[pd.DataFrame, Premium]) -> None:
    _, found = carrying
    assert found.verdict == "journeys add"
    assert found.sentence.startswith("Journeys predict churn better than all 9 touchpoint-only models: log loss 0.")
    assert found.terms == (WORST, DECAYED, EFFORT)
    assert found.touchpoint_terms == (CALL, CHAT)
    assert len(found.chosen) == 2
    assert len(found.against) == 9
    assert all(one.lo > 0 for one in found.against)
    for one in found.gains:
        assert one.lo < one.gain < one.hi
        assert one.gain > 0


def test_gains_are_differences_of_the_metrics_on_all_tested_rows(carrying: tuple[pd.DataFrame, Premium]) -> None:
    frame, found = carrying
    loss, ranking, money = found.gains
    assert loss.gain == pytest.approx(loss.touchpoints - loss.journeys)
    assert ranking.gain == pytest.approx(ranking.journeys - ranking.touchpoints)
    assert money.gain == pytest.approx(money.journeys - money.touchpoints)
    tested = frame[frame["cutoff"].isin(np.sort(frame["cutoff"].unique())[-2:])]
    assert (found.n_rows, found.n_customers) == (len(tested), tested["customer_id"].nunique())
    rate = np.full(len(tested), tested["is_churned"].mean())
    by_rate = churn_metrics(Sample.of(tested["is_churned"], rate, tested["customer_id"], np.ones(len(tested))))[0].value
    assert found.share is not None
    assert found.share.gain == pytest.approx(loss.gain / by_rate)
    assert found.share.journeys == pytest.approx(1 - loss.journeys / by_rate)


def test_every_touchpoint_model_is_compared_with_the_best_one_first(carrying: tuple[pd.DataFrame, Premium]) -> None:
    _, found = carrying
    rivals = found.rivals_frame()
    assert rivals["model"].is_unique
    assert rivals["model"].iloc[0] == found.best
    assert rivals["touchpoints"].is_monotonic_decreasing
    assert found.against[0] == found.share
    assert set(rivals["journeys"]) == {found.share.journeys if found.share else None}
    assert rivals["gain"].to_numpy() == pytest.approx((rivals["journeys"] - rivals["touchpoints"]).to_numpy())


def test_the_table_has_a_row_for_each_metric_and_one_verdict(carrying: tuple[pd.DataFrame, Premium]) -> None:
    _, found = carrying
    table = found.to_frame()
    assert table["metric"].tolist() == ["log_loss", "auc", "expected_max_profit"]
    assert table["verdict"].tolist() == ["journeys add", "", ""]
    assert set(table["n_customers"]) == {found.n_customers}


def test_the_order_of_rows_has_no_influence() -> None:
    frame = panel(200, np.random.default_rng(3), carried=0.5)
    first, second = (
        journey_premium(some, FEATURES, folds(), np.random.default_rng(4), max_rows=400)
        for some in (frame, frame.sample(frac=1, random_state=5))
    )
    for field in fields(first):
        assert getattr(first, field.name) == getattr(second, field.name)


def test_fewer_models_with_journeys_leave_every_touchpoint_model_a_rival() -> None:
    frame = panel(300, np.random.default_rng(0))
    found = journey_premium(
        frame, FEATURES, folds(), np.random.default_rng(0), journey_families=["logistic"], max_rows=400, leaks=()
    )
    assert {one.model.split(" (")[0] for one in found.against} == {"logistic", "boosting", "additive boosting"}
    assert all(": logistic (" in one for one in found.chosen)


def test_how_much_matters_decides_between_nothing_and_undecided() -> None:
    frame = panel(300, np.random.default_rng(0))
    strict, loose = (
        journey_premium(frame, FEATURES, folds(), np.random.default_rng(0), families=["logistic"], matters=matters)
        for matters in (0.0, 0.5)
    )
    assert strict.gains == loose.gains
    assert strict.share is not None
    assert strict.share.lo <= 0 < strict.share.hi
    assert (strict.verdict, loose.verdict) == ("undecided", "journeys add nothing that can be told")
    assert loose.sentence.startswith("Journeys add nothing that can be told (less than 50 % of the log loss")


def test_a_flat_table_says_why_nothing_is_compared() -> None:
    frame = panel(300, np.random.default_rng(0)).drop_duplicates("customer_id")
    flat = (feature("support__wait_min__mean"), feature("tenure_days", "customer", None, "covariate"))
    frame = frame.assign(support__wait_min__mean=frame[CALL])
    rng = np.random.default_rng(0)
    found = journey_premium(frame, flat, grouped(frame, 3, rng), rng)
    assert found.verdict == "not compared"
    assert found.sentence.startswith(
        "Journeys were not compared with touchpoints: no feature joins several touchpoints"
    )
    assert found.touchpoint_terms == ("support__wait_min__mean",)
    assert found.to_frame().empty


def test_without_touchpoints_there_is_nothing_that_journeys_could_add_to() -> None:
    frame = panel(300, np.random.default_rng(0))
    found = journey_premium(frame, FEATURES[2:], folds(), np.random.default_rng(0), leaks=())
    assert found.verdict == "not compared"
    assert "no feature is about touchpoints one by one" in found.sentence
    assert (found.terms, found.touchpoint_terms, found.against) == ((WORST, DECAYED, EFFORT), (), ())
    assert found.rivals_frame().empty


def test_too_few_churners_are_told() -> None:
    frame = panel(300, np.random.default_rng(0))
    last = frame["cutoff"] == frame["cutoff"].max()
    frame.loc[last & (frame["is_churned"].cumsum() % 4 > 0), "is_churned"] = 0.0
    found = journey_premium(frame, FEATURES, folds(), np.random.default_rng(0))
    assert found.verdict == "not compared"
    assert "churners and" in found.sentence
    assert "among the tested rows; at least 10 of each are needed" in found.sentence


def test_a_suspect_journey_term_is_in_neither_model() -> None:
    frame = panel(300, np.random.default_rng(0))
    frame[EFFORT] = frame["is_churned"] + 0.01 * frame[CALL]
    found = journey_premium(frame, FEATURES, folds(), np.random.default_rng(0), families=["logistic"])
    assert found.terms == (WORST, DECAYED)
    assert found.verdict != "journeys add"


def test_a_fold_without_rows_and_an_unknown_family_are_refused() -> None:
    frame = panel(100, np.random.default_rng(0))
    later = rolling_origin([400 * DAY, 430 * DAY], gap_days=0, horizon_days=30)
    with pytest.raises(EmptyResultError, match="There are no tested rows"):
        journey_premium(frame, FEATURES, later, np.random.default_rng(0))
    frame = panel(300, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"families is \['forest'\]"):
        journey_premium(frame, FEATURES, folds(), np.random.default_rng(0), families=["forest"])
