"""Penalty and reward: least squares by hand, known truth, and sides with the wrong sign."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from models.asymmetry import Asymmetry, PenaltyReward, penalty_reward
from models.rated import Rated

NAMES = ("basic", "linear", "delighter", "peaked")
RATED = tuple(Rated(name, "use" if name != "peaked" else "join", name, "higher", 1.0, 5.0) for name in NAMES)
SHARES = {"basic": (1, 1, 2, 3, 3), "linear": (1, 2, 3, 3, 3), "delighter": (1, 2, 2, 1, 1), "peaked": (1, 1, 1, 1, 1)}


def survey(seed: int, customers: int = 1_500, rows: int = 2) -> pd.DataFrame:
    """Ratings of one to five, each with its own curve; a fifth never used the delighter and is 0.3 better off."""
    rng = np.random.default_rng(seed)
    n = customers * rows
    frame = pd.DataFrame(
        {name: rng.choice(np.arange(1.0, 6.0), n, p=np.array(weight) / sum(weight)) for name, weight in SHARES.items()}
    )
    curve = 0.5 * np.minimum(frame["basic"] - 3, 0) + 0.3 * (frame["linear"] - 3)
    curve += 0.5 * np.maximum(frame["delighter"] - 3, 0) - 0.3 * (frame["peaked"] - 3).abs()
    used = rng.random(n) > 0.2
    curve = np.where(used, curve, curve - 0.5 * np.maximum(frame["delighter"] - 3, 0) + 0.3)
    who = np.repeat(np.arange(customers), rows)
    outcome = curve + np.repeat(rng.normal(0, 0.5, customers), rows) + rng.normal(0, 0.7, n)
    return frame.assign(
        delighter=frame["delighter"].where(used),
        customer_id=[f"c{k:04d}" for k in who],
        satisfaction=outcome,
        is_churned=(rng.random(n) < np.clip(0.3 - 0.1 * curve, 0, 1)).astype(float),
        segment=np.array(["a", "b"], dtype=object)[who % 2],
        weight=rng.uniform(0.5, 2.0, n),
    )


def run(frame: pd.DataFrame, seed: int = 1, **options: object) -> Asymmetry:
    arguments: dict[str, object] = {"outcome": "satisfaction", "better": "higher", "controls": ["segment"]} | options
    return penalty_reward(frame, RATED, rng=np.random.default_rng(seed), **arguments)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found() -> dict[str, PenaltyReward]:
    return {one.rated.name: one for one in run(survey(1)).drivers}


def slopes(frame: pd.DataFrame, columns: list[pd.Series]) -> np.ndarray:
    X = np.column_stack([np.ones(len(frame)), frame["segment"].eq("a"), *columns]).astype(float)
    root = np.sqrt(frame["weight"].to_numpy())
    return np.linalg.lstsq(X * root[:, None], frame["satisfaction"].to_numpy() * root, rcond=None)[0][2:]


def test_sides_and_slopes_are_weighted_least_squares() -> None:
    frame = survey(0)
    flag = frame["delighter"].isna()
    sides = [column for name in NAMES for column in (frame[name] <= 2, frame[name] >= 4)]
    expected = slopes(frame, [*sides, flag])[:8].reshape(4, 2)
    lines = [frame[name].fillna(3.0) for name in NAMES]
    effect = slopes(frame, [*lines, flag])[:4]
    result = run(frame, weight="weight", replicates=20)
    np.testing.assert_allclose([[one.penalty.value, one.reward.value] for one in result.drivers], expected, atol=1e-8)
    np.testing.assert_allclose([one.effect.value for one in result.drivers], effect, atol=1e-8)
    reach = 1 - np.average(flag, weights=frame["weight"])
    assert result.drivers[2].reach == pytest.approx(reach)
    assert result.drivers[2].population_effect.value == pytest.approx(effect[2] * reach)


def test_kinds_are_those_of_the_world(found: dict[str, PenaltyReward]) -> None:
    assert {name: one.kind for name, one in found.items()} == {
        "basic": "basic",
        "linear": "linear",
        "delighter": "delighter",
        "peaked": "unclear",
    }


def test_a_side_with_the_wrong_sign_is_unclear_however_sure_its_index(found: dict[str, PenaltyReward]) -> None:
    one = found["peaked"]
    assert one.asymmetry.hi < -0.99
    assert one.kind == "unclear"
    assert one.warning == "top ratings go along with a worse outcome than the middle: wrong sign"
    assert one.reward.hi < 0


def test_the_same_index_with_low_ratings_better_is_unclear_too() -> None:
    frame = survey(0)
    frame["satisfaction"] += 0.6 * (frame["peaked"] - 3).abs()
    one = run(frame, replicates=50).drivers[3]
    assert (one.kind, one.reward.value > 0) == ("unclear", True)
    assert one.warning == "low ratings go along with a better outcome than the middle: wrong sign"


def test_sides_slopes_and_asymmetry_are_near_the_truth(found: dict[str, PenaltyReward]) -> None:
    """Of the low third of 'basic' half rate 1 and half 2: a penalty of 0.5 * 1.5; four in seven of the top rate 5."""
    assert found["basic"].penalty.value == pytest.approx(-0.75, abs=0.12)
    assert found["basic"].reward.value == pytest.approx(0.0, abs=0.12)
    assert found["delighter"].reward.value == pytest.approx(0.75, abs=0.12)
    assert found["linear"].asymmetry.value == pytest.approx(0.0, abs=0.2)
    assert found["linear"].effect.value == pytest.approx(0.3, abs=0.05)
    for one in found.values():
        assert one.penalty.lo < one.penalty.value < one.penalty.hi
        assert one.effect.n <= 1_500


def test_curves_are_told_and_a_straight_line_is_not(found: dict[str, PenaltyReward]) -> None:
    assert found["peaked"].is_nonlinear
    assert not found["linear"].is_nonlinear
    assert found["peaked"].nonlinearity.lo > 0.05


def test_for_churn_the_sane_signs_turn() -> None:
    frame = survey(2, customers=6_000)
    kinds = {one.rated.name: one for one in run(frame, outcome="is_churned", better="lower").drivers}
    assert kinds["basic"].kind == "basic"
    assert kinds["basic"].penalty.lo > 0
    assert kinds["peaked"].kind == "unclear"
    assert kinds["linear"].effect.hi < 0


def test_a_rating_of_which_less_is_better_gives_the_same() -> None:
    frame = survey(0)
    turned = tuple(Rated(one.name, one.journey, one.column, "lower", 1.0, 5.0) for one in RATED)
    other = penalty_reward(
        frame.assign(**{name: 6 - frame[name] for name in NAMES}),
        turned,
        "satisfaction",
        better="higher",
        rng=np.random.default_rng(1),
        controls=["segment"],
        replicates=20,
    )
    plain = run(frame, replicates=20).to_frame().drop(columns=["driver"])
    pd.testing.assert_frame_equal(other.to_frame().drop(columns=["driver"]), plain, rtol=1e-9, atol=1e-9)


def test_the_order_of_rows_and_the_unit_of_the_outcome_have_no_influence() -> None:
    frame = survey(3, customers=400)
    plain = run(frame, replicates=30).to_frame()
    mixed = run(frame.sample(frac=1, random_state=1), replicates=30).to_frame()
    pd.testing.assert_frame_equal(mixed, plain, rtol=1e-6, atol=1e-8)
    larger = run(frame.assign(satisfaction=frame["satisfaction"] * 100 + 7), replicates=30).to_frame()
    np.testing.assert_allclose(larger["penalty"], plain["penalty"] * 100)
    np.testing.assert_allclose(larger["asymmetry_lo"], plain["asymmetry_lo"])
    assert larger["kind"].tolist() == plain["kind"].tolist()


def test_few_customers_in_a_class_are_told() -> None:
    frame = survey(0, customers=400)
    frame["basic"] = frame["basic"].where(frame["basic"] >= 3, 3.0)
    frame.loc[:9, "basic"] = 1.0
    one = run(frame, replicates=20).drivers[0]
    assert one.kind == "unclear"
    assert one.warning == "5 customers in the low third; at least 30 are needed"


def test_the_table_has_a_row_a_driver_with_intervals(found: dict[str, PenaltyReward]) -> None:
    table = run(survey(0, customers=300), replicates=20).to_frame()
    assert table["feature"].tolist() == list(NAMES)
    for name in ("penalty", "reward", "asymmetry", "effect", "population_effect", "nonlinearity"):
        assert {name, f"{name}_lo", f"{name}_hi"} <= set(table.columns)


def test_too_few_customers_and_a_constant_outcome_are_refused() -> None:
    few = run(survey(0, customers=150))
    assert few.refusal == "not told: 150 customers; at least 200 are needed"
    assert few.to_frame().empty
    same = run(survey(0, customers=300).assign(satisfaction=1.0))
    assert same.refusal == "not told: the outcome does not vary"


def test_with_too_many_drivers_for_exact_shares_nonlinearity_is_missing() -> None:
    rng = np.random.default_rng(0)
    names = [f"r{k}" for k in range(22)]
    frame = pd.DataFrame({name: rng.integers(1, 6, 300).astype(float) for name in names})
    frame = frame.assign(customer_id=[str(i) for i in range(300)], y=rng.normal(size=300))
    many = tuple(Rated(name, "use", name, "higher", 1, 5) for name in names)
    result = penalty_reward(frame, many, "y", better="higher", rng=rng, replicates=5)
    assert np.isnan([one.nonlinearity.value for one in result.drivers]).all()
    assert not any(one.is_nonlinear for one in result.drivers)
    assert np.isfinite([one.effect.value for one in result.drivers]).all()


def test_unknown_and_doubled_columns_are_refused() -> None:
    frame, rng = survey(0, customers=10), np.random.default_rng(0)
    with pytest.raises(ValueError, match="rated is empty"):
        penalty_reward(frame, (), "satisfaction", better="higher", rng=rng)
    with pytest.raises(ValueError, match="'basic' stands for two drivers"):
        penalty_reward(frame, (RATED[0], RATED[0]), "satisfaction", better="higher", rng=rng)
    with pytest.raises(ValueError, match="'nothing' is not a column"):
        penalty_reward(frame, RATED, "nothing", better="higher", rng=rng)


@pytest.mark.slow
def test_intervals_cover_and_straight_lines_are_rarely_called_anything_else() -> None:
    """Customers with two rows and a lasting level of their own; 90 % intervals, 150 worlds."""
    worlds, covered, other, bent = 150, np.zeros(3), 0, 0
    for seed in range(worlds):
        table = {one.rated.name: one for one in run(survey(seed, customers=600), seed).drivers}
        basic, linear = table["basic"], table["linear"]
        truths = ((basic.penalty, -0.75), (linear.effect, 0.3), (linear.asymmetry, 0.0))
        covered += [one.lo <= truth <= one.hi for one, truth in truths]
        other += linear.kind in {"basic", "delighter"}
        bent += linear.is_nonlinear
    assert (covered >= binom.ppf(0.01, worlds, 0.9)).all()
    assert other <= binom.ppf(0.99, worlds, 0.1)
    assert bent <= binom.ppf(0.99, worlds, 0.05)
