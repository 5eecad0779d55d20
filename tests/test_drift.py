import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from features.measures import Feature
from models.batch_rules import drift_reasons, moved
from models.bins import psi, smoothed
from models.counted import counted, pooled
from models.drift import Design, Drift, Profile, Profiler, drift, joined

WINDOW, CUTOFFS, LAG = 6, 22, 3
DESIGN = Design(LAG, WINDOW, 0.05)
NAMES = [f"support__wait_min__{number}" for number in range(24)]


def feature(name: str, unit: str = "min") -> Feature:
    return Feature(name, "Support: mean wait (min).", unit, "lower", "journey", "support", name, "experience")


def cutoffs(rng: np.random.Generator, n: int = 300) -> list[pd.DataFrame]:
    """Customers at cutoffs whose windows overlap: features wander with what happened in the window."""
    months = rng.normal(0, 0.25, (CUTOFFS + WINDOW, len(NAMES)))
    trend = rng.normal(0, 0.01, len(NAMES))
    own = rng.normal(size=(n, len(NAMES)))
    rows = []
    for at in range(CUTOFFS):
        level = months[at : at + WINDOW].mean(axis=0) + trend * at
        values = np.exp(level + 0.8 * own + 0.3 * rng.normal(size=own.shape))
        values[rng.random(own.shape) < 0.1] = np.nan
        rows.append(pd.DataFrame(values, columns=NAMES))
    return rows


def described(rows: list[pd.DataFrame]) -> tuple[list[Profile], Profiler]:
    reference = rows[: CUTOFFS - LAG]
    found = [counted(one, NAMES) for one in reference]
    profiler = Profiler.of(pooled(found))
    return [profiler.profile(one) for one in found], profiler


def profile(profiler: Profiler, rows: pd.DataFrame) -> Profile:
    return profiler.profile(counted(rows, list(profiler.bins)))


@pytest.fixture(scope="module")
def world() -> tuple[list[Profile], Profiler, pd.DataFrame]:
    rows = cutoffs(np.random.default_rng(2))
    profiles, profiler = described(rows)
    return profiles, profiler, rows[-1]


def told(world: tuple[list[Profile], Profiler, pd.DataFrame], batch: pd.DataFrame) -> pd.DataFrame:
    profiles, profiler, _ = world
    return moved(drift(profiles, profile(profiler, batch), DESIGN), 0.1)


def test_undisturbed_batches_raise_no_more_alarms_than_stated() -> None:
    alarms = 0
    for seed in range(40):
        rows = cutoffs(np.random.default_rng(100 + seed), 150)
        profiles, profiler = described(rows)
        alarms += bool((drift(profiles, profile(profiler, rows[-1]), DESIGN).table["p"] < 0.05).any())
    assert alarms <= 5  # 2 are expected at most; more than 5 has a chance of 1.4 %


def test_psi_beside_the_limits_is_the_plain_one(world: tuple[list[Profile], Profiler, pd.DataFrame]) -> None:
    profiles, profiler, batch = world
    found = drift(profiles, profile(profiler, batch), DESIGN).table.set_index("feature")
    name = NAMES[3]
    # 19 cutoffs, 3 ahead: each is compared with the 5 that end 3 before it
    reference = np.mean([smoothed(one.counts[name]) for one in profiles[-5:]], axis=0)
    now = smoothed(profiler.bins[name].counts(counted(batch, [name])[name]))
    assert found.loc[name, "psi"] == pytest.approx(float(psi(now, reference)), rel=1e-12)
    assert found.loc[name, "missing_share"] == pytest.approx(batch[name].isna().mean())


def test_minutes_that_become_seconds_need_action(world: tuple[list[Profile], Profiler, pd.DataFrame]) -> None:
    batch = world[2].assign(**{NAMES[0]: world[2][NAMES[0]] * 60})
    rows = told(world, batch)
    assert rows["feature"].tolist() == [NAMES[0]]
    (reason,) = drift_reasons(rows, [feature(NAMES[0])])
    assert (reason.kind, reason.verdict) == ("unit", "act")
    assert "times as large as in training" in reason.text


def test_a_measure_that_is_no_longer_delivered_needs_action(
    world: tuple[list[Profile], Profiler, pd.DataFrame],
) -> None:
    rows = told(world, world[2].assign(**{NAMES[1]: np.nan}))
    assert rows["feature"].tolist() == [NAMES[1]]
    (reason,) = drift_reasons(rows, [feature(NAMES[1])])
    assert (reason.kind, reason.verdict) == ("missing", "act")
    assert "missing for 100.0% of customers, expected" in reason.text


def test_more_missing_values_are_to_be_watched(world: tuple[list[Profile], Profiler, pd.DataFrame]) -> None:
    batch = world[2].copy()
    batch.loc[batch.index[:100], NAMES[2]] = np.nan
    rows = told(world, batch)
    assert rows["feature"].tolist() == [NAMES[2]]
    assert [(one.kind, one.verdict) for one in drift_reasons(rows, [feature(NAMES[2])])] == [("missing", "watch")]


def test_other_customers_are_to_be_watched(world: tuple[list[Profile], Profiler, pd.DataFrame]) -> None:
    batch = world[2].copy()
    batch[NAMES[5]] = batch[NAMES[5]].clip(lower=batch[NAMES[5]].quantile(0.6)) * 1.6
    reasons = drift_reasons(told(world, batch), [feature(NAMES[5])])
    assert [(one.kind, one.verdict) for one in reasons] == [("drift", "watch")]


def test_a_trend_that_goes_on_is_no_drift() -> None:
    rng = np.random.default_rng(6)
    tenure = pd.concat([pd.DataFrame({"tenure_days": rng.exponential(900, 500)}) for _ in range(3)])
    profiler = Profiler.of(counted(tenure, ["tenure_days"]))
    base = rng.exponential(900, 500)
    rows = [pd.DataFrame({"tenure_days": base + 9 * at + rng.normal(0, 5, 500)}) for at in range(CUTOFFS)]
    profiles = [profile(profiler, one) for one in rows]
    found = drift(profiles[: CUTOFFS - LAG], profiles[-1], DESIGN)
    assert len(moved(found, 0.0)) == 0


def trending(rng: np.random.Generator, lag: int, change: float = 0.0) -> tuple[list[Profile], Profile]:
    """21 cutoffs and a batch; means over windows, in a quarter of the columns a steady trend, in one a break."""
    columns, rows, level = 40, 2_000, 0.08 * rng.normal(size=(21 + lag + WINDOW, 40)) * np.sqrt(WINDOW)
    level = np.array([level[at : at + WINDOW].mean(axis=0) for at in range(21 + lag)])
    level += np.where(np.arange(columns) < columns // 4, 0.05, 0.0) * np.arange(21 + lag)[:, None]
    level[-1, -1] += change
    edges = level[:21].mean(axis=0)[:, None] + norm.ppf(np.arange(1, 10) / 10)
    found = []
    for at in (*range(21), 20 + lag):
        reached = norm.cdf(edges - level[at][:, None])
        shares = np.diff(reached, axis=1, prepend=0.0, append=1.0)
        counts = {f"c{n}": np.append(rng.multinomial(rows, one), 0) for n, one in enumerate(shares)}
        size = np.log(2) + 0.5 * level[at] + rng.normal(0, 0.5 / np.sqrt(rows), columns)
        found.append(Profile(rows, counts, size, level[at], np.zeros(columns)))
    return found[:-1], found[-1]


@pytest.mark.parametrize(("lag", "least"), [(3, 20), (9, 6)])
def test_strong_trends_raise_no_more_alarms_than_stated_and_hide_no_break(lag: int, least: int) -> None:
    rng, design = np.random.default_rng(lag), Design(lag, WINDOW, 0.05)
    alarms = sum(len(moved(drift(*trending(rng, lag), design), 0.1)) > 0 for _ in range(40))
    caught = sum("c39" in set(moved(drift(*trending(rng, lag, 0.6), design), 0.1)["feature"]) for _ in range(30))
    assert alarms <= 5  # 2 are expected at most; compared with the mean of all cutoffs before, 25 at a lag of 9
    assert caught >= least


def test_features_of_one_measure_and_journey_share_a_sentence(
    world: tuple[list[Profile], Profiler, pd.DataFrame],
) -> None:
    rows = told(world, world[2].assign(**{name: world[2][name] * 60 for name in NAMES[:3]}))
    features = [replace(feature(name), measure="wait") for name in NAMES[:3]]
    (reason,) = drift_reasons(rows, features)
    assert "So do 2 more features of it." in reason.text


def test_too_few_cutoffs_show_distances_and_judge_nothing(
    world: tuple[list[Profile], Profiler, pd.DataFrame],
) -> None:
    profiles, profiler, batch = world
    found = drift(profiles[:6], profile(profiler, batch * 1000), DESIGN)
    assert not found.is_judged
    assert found.table["p"].isna().all()
    assert found.table["psi"].min() > 1
    assert len(moved(found, 0.1)) == 0


def test_the_order_of_rows_does_not_matter(world: tuple[list[Profile], Profiler, pd.DataFrame]) -> None:
    profiles, profiler, batch = world
    shuffled = batch.sample(frac=1, random_state=3)
    once, again = (drift(profiles, profile(profiler, one), DESIGN).table for one in (batch, shuffled))
    pd.testing.assert_frame_equal(once, again, rtol=1e-12)


def test_joined_columns_are_those_of_both_and_rows_of_the_first() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]})
    renamed = frame.rename(columns={"a": "b"})
    one = profile(Profiler.of(counted(frame, ["a"])), frame)
    other = profile(Profiler.of(counted(renamed, ["b"])), renamed.head(2))
    both = joined(one, other)
    assert (both.n, list(both.counts), both.mean.tolist()) == (3, ["a", "b"], [2.0, 1.5])


def test_categories_have_a_spread_but_no_size() -> None:
    frame = pd.DataFrame({"segment": pd.Series(["a", "b", "b", "b"], dtype="category")})
    profiler = Profiler.of(counted(frame, ["segment"]))
    profiles = [profile(profiler, frame)] * 9
    now = pd.DataFrame({"segment": pd.Series(["a", "a", "a", "c"], dtype=object)})
    found: Drift = drift(profiles, profile(profiler, now), Design(1, 1.0, 0.05))
    row = found.table.iloc[0]
    assert row["psi"] > 0.25
    assert math.isnan(row["factor"])
    assert moved(found, 0.1)["aspect"].tolist() == ["spread"]
