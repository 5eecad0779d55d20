"""What a pilot is worth: the unit normal loss, brute force by simulated pilots, and laws that hold for any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from features.errors import StudyError
from models.pilots import Pilot, Pilots, worth_of_pilots
from models.portfolio import Method, search
from models.proposals import Limits, Proposal, Proposals
from tests.plans import keeps, some_proposals

METHODS: tuple[Method, ...] = ("every set", "integer programme")


def with_moments(mean: float, spread: float, n: int = 100) -> np.ndarray:
    """Draws whose mean and standard deviation are exactly these."""
    z = norm.ppf((np.arange(n) + 0.5) / n)
    return mean + spread * z / z.std(ddof=1)


def ask(p: Proposals, limits: Limits, *pilots: Pilot, method: Method = "every set") -> Pilots:
    return worth_of_pilots(search(p, method=method), limits, pilots)


def unit_normal_loss(u: float) -> float:
    return norm.pdf(u) - u * norm.sf(u)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("mean", "spread", "customers"), [(0, 10, 400), (5, 10, 100), (-8, 4, 50), (30, 10, 1_000)])
def test_one_initiative_is_the_unit_normal_loss(method: Method, mean: float, spread: float, customers: int) -> None:
    p = Proposals.of([Proposal("a", with_moments(mean, spread), 1)])
    pilot = Pilot("a", customers, spread=0.5, reached=100, cost=0.25)
    told = ask(p, Limits(), pilot, method=method).pilots[0]
    error = 2 * 0.5 * 100 / np.sqrt(customers)
    learned = spread**2 / np.sqrt(spread**2 + error**2)
    assert told.perfect == pytest.approx(spread * unit_normal_loss(abs(mean) / spread), rel=1e-6, abs=1e-9)
    assert told.sample == pytest.approx(learned * unit_normal_loss(abs(mean) / learned), rel=1e-6, abs=1e-9)
    assert told.net == pytest.approx(told.sample - 0.25)
    assert told.p_change == pytest.approx(norm.cdf(-abs(mean) / learned), rel=1e-6, abs=1e-9)


def test_one_known_alternative_is_the_loss_of_the_difference() -> None:
    p = Proposals.of([Proposal("a", with_moments(12, 6), 1), Proposal("known", np.full(100, 10.0), 1)])
    told = ask(p, Limits(budget=1), Pilot("a", 2, spread=0.0, reached=0)).pilots[0]
    assert told.sample == pytest.approx(6 * unit_normal_loss(2 / 6), rel=1e-6)


def simulated_worth(p: Proposals, limits: Limits, name: str, error: float) -> float:
    """Simulate pilots; after each, weigh the draws by the likelihood of its result and choose the best set anew."""
    codes = range(1 << len(p))
    sets = [tuple(i for i in range(len(p)) if code >> i & 1) for code in codes]
    values = np.column_stack([p.draws(p.flags([p.names[i] for i in one])) for one in sets if keeps(p, one, limits)])
    alone = p.value[:, p.names.index(name)]
    results = norm.ppf((np.arange(800) + 0.5) / 800, alone.mean(), np.hypot(alone.std(), error))
    weights = np.exp(-(((results[:, np.newaxis] - alone) / error) ** 2) / 2)
    after = (weights @ values / weights.sum(axis=1, keepdims=True)).max(axis=1).mean()
    return float(after - values.mean(axis=0).max())


@pytest.mark.parametrize("name", ["a", "b", "d"])
def test_the_formula_is_what_simulated_pilots_gain(name: str) -> None:
    rng = np.random.default_rng(11)
    shared = rng.normal(size=(20_000, 1))
    value = np.array([6.0, 4.0, 5.0, -2.0]) + 5 * shared + np.array([8.0, 5.0, 2.0, 9.0]) * rng.normal(size=(20_000, 4))
    items = [Proposal(one, value[:, k], cost) for k, (one, cost) in enumerate(zip("abcd", (3, 2, 2, 3), strict=True))]
    p = Proposals.of(items, {("a", "b"): -0.3 * value[:, 0], ("c", "d"): np.full(20_000, 2.0)})
    limits = Limits(budget=6)
    pilot = Pilot(name, 400, spread=0.5, reached=80)
    told = ask(p, limits, pilot).pilots[0]
    brute = simulated_worth(p, limits, name, pilot.error)
    assert brute > 0.1
    # 20,000 draws know a mean of spread 10 to 0.07; worth is a difference of such means with most noise in common.
    assert told.sample == pytest.approx(brute, abs=0.07)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=5)
@given(st.integers(0, 1_000))
def test_the_mean_of_the_highest_line_is_what_integration_gives(method: Method, seed: int) -> None:
    p, limits = some_proposals(seed, 5, rules=2), Limits(budget=25)
    pilot = Pilot("i02", 100, spread=1.0, reached=100)
    told = ask(p, limits, pilot, method=method).pilots[0]
    alone = p.value[:, 2]
    z = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    highest = np.full(len(z), -np.inf)
    levels = []
    for code in range(32):
        one = tuple(i for i in range(5) if code >> i & 1)
        if keeps(p, one, limits):
            value = p.draws(p.flags([p.names[i] for i in one]))
            slope = np.cov(value, alone)[0, 1] / np.hypot(alone.std(ddof=1), pilot.error)
            highest = np.maximum(highest, value.mean() + slope * z)
            levels.append(value.mean())
    assert told.sample == pytest.approx(highest.mean() - max(levels), abs=0.01)
    assert 0 <= told.sample <= told.perfect + 1e-9


def test_more_customers_tell_more_and_never_more_than_everything_about_it() -> None:
    p = some_proposals(1, 6)
    sizes = [2, 20, 200, 2_000, 10**9]
    told = ask(p, Limits(budget=25), *(Pilot("i03", n, spread=3.0, reached=100) for n in sizes))
    worths = sorted(one.sample for one in told.pilots)
    assert [one.sample for one in sorted(told.pilots, key=lambda one: one.sample)] == worths
    assert worths[0] < worths[-1] == pytest.approx(told.pilots[0].perfect, rel=1e-4)
    by_size = [ask(p, Limits(budget=25), Pilot("i03", n, 3.0, 100)).pilots[0].sample for n in sizes]
    assert by_size == sorted(by_size)


@pytest.mark.parametrize("seed", range(3))
def test_among_all_sets_a_pilot_is_worth_what_searches_say_and_among_fewer_no_more(seed: int) -> None:
    p, limits = some_proposals(seed, 6, rules=2), Limits(budget=30)
    pilots = [Pilot(name, 500, 20.0, 10.0) for name in p.names]
    searched = search(p)
    found = worth_of_pilots(searched, limits, pilots)
    every = np.array([flags for flags in searched.sets if keeps(p, tuple(np.flatnonzero(flags)), limits)])
    among = worth_of_pilots(searched, limits, pilots, every)
    assert [one.name for one in among.pilots] == [one.name for one in found.pilots]
    assert [one.sample for one in among.pilots] == pytest.approx([one.sample for one in found.pilots])
    fewer = {
        one.name: one for one in worth_of_pilots(searched, limits, pilots, searched.best_by_draw(limits)[:5]).pilots
    }
    assert all(0 <= fewer[one.name].sample <= one.sample + 1e-9 for one in found.pilots)


def test_what_cannot_change_the_choice_is_worth_nothing() -> None:
    sure = Proposals.of([Proposal("a", np.full(50, 7.0), 1), Proposal("b", with_moments(5, 3, 50), 1)])
    told = ask(sure, Limits(must=("b",)), Pilot("a", 100, 0.0, 10), Pilot("b", 100, 1.0, 10))
    assert [(one.name, one.sample, one.p_change) for one in told.pilots] == [("a", 0.0, 0.0), ("b", 0.0, 0.0)]
    assert told.everything == 0.0


def test_knowing_everything_is_the_mean_of_the_best_less_the_best_of_the_means() -> None:
    p, limits = some_proposals(2, 5, draws=300), Limits(budget=25)
    sets = [tuple(i for i in range(5) if code >> i & 1) for code in range(32)]
    values = np.column_stack([p.draws(p.flags([p.names[i] for i in s])) for s in sets if keeps(p, s, limits)])
    told = ask(p, limits, Pilot("i00", 10, 1, 1))
    assert told.everything == pytest.approx(values.max(axis=1).mean() - values.mean(axis=0).max())
    assert told.lo < told.everything < told.hi
    assert told.draws == 300


def test_the_interval_of_knowing_everything_holds_the_closed_form() -> None:
    draws = np.random.default_rng(3).normal(4, 10, 4_000)
    told = ask(Proposals.of([Proposal("a", draws, 1)]), Limits(), Pilot("a", 10, 1, 1))
    assert told.lo < 10 * unit_normal_loss(0.4) < told.hi
    assert told.hi - told.lo < 0.5


def test_pilots_come_by_net_worth_then_name_and_a_frame_holds_them() -> None:
    twin = with_moments(0, 5)
    p = Proposals.of([Proposal("b", twin, 1), Proposal("a", twin, 1), Proposal("c", with_moments(0, 50), 1)])
    pilots = [Pilot("b", 100, 1, 10), Pilot("a", 100, 1, 10), Pilot("c", 100, 1, 10, cost=1_000)]
    told = ask(p, Limits(budget=1), *pilots)
    assert [one.name for one in told.pilots] == ["a", "b", "c"]
    assert told.pilots[2].net < 0 < told.pilots[0].net
    assert told == ask(p, Limits(budget=1), *pilots[::-1])
    assert told.to_frame()["net"].tolist() == [one.net for one in told.pilots]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ({"customers": 1}, "has 1 customers"),
        ({"spread": -1.0}, "spread of the pilot of 'a' is -1"),
        ({"reached": float("nan")}, "reached of the pilot of 'a' is nan"),
        ({"cost": float("inf")}, "cost of the pilot of 'a' is inf"),
    ],
)
def test_numbers_out_of_range_are_refused(made: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Pilot(**{"name": "a", "customers": 10, "spread": 1.0, "reached": 1.0, **made})  # type: ignore[arg-type]


def test_a_pilot_of_an_unknown_initiative_is_told_with_the_closest() -> None:
    p = Proposals.of([Proposal("billing", np.ones(5), 1)])
    with pytest.raises(StudyError, match=r"pilot: no .* 'biling'\. Did you mean 'billing'\?"):
        ask(p, Limits(), Pilot("biling", 10, 1, 1))


def test_one_draw_is_refused() -> None:
    with pytest.raises(ValueError, match=r"one draw was given\. Expected two"):
        ask(Proposals.of([Proposal("a", np.ones(1), 1)]), Limits(), Pilot("a", 10, 1, 1))
