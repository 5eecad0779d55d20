"""Initiatives together: sums less overlaps, as simulation and portfolio count them; scenarios under the same luck."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest

from features.errors import StudyError
from flows.planner import Bench, Setting
from flows.planner_sets import Range, compare_sets, fund, overlap_lost, set_worth
from models.combinations import combine
from models.funding import Funding
from models.funding_plan import plan_funding
from tests.benches import a_bench
from tests.worths import a_forecast


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return a_bench(tmp_path_factory.mktemp("bench"))


def settings(bench: Bench, *names: str) -> dict[str, Setting]:
    return {name: Setting.of(bench.initiatives[name]) for name in names}


def test_one_alone_is_what_it_is_worth(bench: Bench) -> None:
    found, alone = set_worth(bench, settings(bench, "good")), bench.surface.answer("good")
    assert (found.npv == alone.npv).all()
    assert (found.lost == 0).all()
    assert found.p_positive == alone.p_npv_positive
    margin = bench.surface.money.margin
    assert found.revenue * margin - found.cost == pytest.approx(alone.npv)


def test_two_are_the_sum_less_what_the_simulation_counts_twice(bench: Bench) -> None:
    on = bench.surface
    pairs = combine(on.samples, on.cohort, on.money, on.retention).interactions
    found = set_worth(bench, settings(bench, "poor", "good"))
    assert found.lost == pytest.approx(pairs["good", "poor"])
    assert found.npv == pytest.approx(on.answer("good").npv + on.answer("poor").npv + pairs["good", "poor"])
    assert found.lost.mean() < 0
    # effect(a) + effect(b) - overlap = -0.02 - 0.004 + 0.001
    assert found.churn.mean() == pytest.approx(-0.023)
    assert found.kept == pytest.approx(-1_000 * found.churn.mean())


def test_what_two_do_twice_shrinks_with_the_reach_of_both(bench: Bench) -> None:
    on, half = bench.surface, replace(Setting.of(bench.initiatives["good"]), reach=0.4)
    whole = on.overlap(on.sampled("good"), on.sampled("poor"))
    less = on.overlap(on.sampled("good", half.changed), on.sampled("poor", {"reach": 0.5}))
    assert whole is not None
    assert less is not None
    assert less.overlap.churn.value == pytest.approx(whole.overlap.churn.value / 4)
    assert less.overlap.churn.se == pytest.approx(whole.overlap.churn.se / 4)
    assert less.noise == pytest.approx(whole.noise / 4)
    assert on.overlap(on.sampled("good"), on.sampled("far")) is None


def test_scenarios_are_compared_draw_by_draw_with_the_first(bench: Bench) -> None:
    dear = bench.initiatives["good"].cost.model_copy(update={"monthly": 60.0})
    dearer = replace(Setting.of(bench.initiatives["good"]), cost=dear)
    sets = {"a": set_worth(bench, settings(bench, "good")), "b": set_worth(bench, {"good": dearer})}
    rows = compare_sets(sets, "EUR").set_index("scenario")
    assert isnan(rows.loc["a", "difference"])
    assert rows.loc["b", "p_better"] == 0, "ten more a month is worse in every draw"
    assert rows.loc["b", "difference_hi"] == pytest.approx(rows.loc["b", "difference_lo"]), "the luck is the same"
    same = compare_sets({"a": sets["a"], "copy": sets["a"]}, "EUR")
    assert same["difference"].tolist()[1] == same["p_better"].tolist()[1] == 0


@pytest.mark.parametrize("count", [0, 1, 7])
def test_two_to_six_scenarios_are_compared(count: int, bench: Bench) -> None:
    one = set_worth(bench, settings(bench, "good"))
    with pytest.raises(StudyError, match=rf"{count} scenarios .* Expected 2 to 6"):
        compare_sets({str(i): one for i in range(count)}, "EUR")


def test_what_excludes_or_needs_another_is_told(tmp_path: Path) -> None:
    found = a_bench(
        tmp_path, [a_forecast("one", excludes=("two",)), a_forecast("two"), a_forecast("three", needs=("two",))]
    )
    with pytest.raises(StudyError, match="“one” and “two” exclude each other"):
        set_worth(found, settings(found, "one", "two"))
    with pytest.raises(StudyError, match="“three” needs “two”, which is not chosen"):
        set_worth(found, settings(found, "three"))


def test_the_portfolio_is_that_of_the_command_line(bench: Bench) -> None:
    on = bench.surface
    known = (on.cohort, on.money, on.retention)
    funding = Funding(budget=40_000.0)
    rng = np.random.default_rng([on.samples.seed % 2**32, 14])
    worths = [on.answer(name) for name in bench.initiatives]
    wanted = plan_funding(worths, bench.stored.refusals, combine(on.samples, *known), funding, on.cohort, on.money, rng)
    found = fund(bench, {}, funding)
    assert found.portfolio.members == wanted.portfolio.members
    assert found.portfolio.draws == pytest.approx(wanted.portfolio.draws)
    assert found.stability.to_frame().equals(wanted.stability.to_frame())


def test_a_slider_moves_the_portfolio(bench: Bench) -> None:
    assert fund(bench, {}, Funding()).portfolio.members == ("good",)
    dear = replace(Setting.of(bench.initiatives["good"]), cost=bench.initiatives["poor"].cost)
    assert fund(bench, {"good": dear}, Funding()).portfolio.members == ()


def test_overlap_of_a_portfolio_is_that_of_its_members(bench: Bench) -> None:
    wanted = Range.of(set_worth(bench, settings(bench, "good", "poor")).lost)
    assert overlap_lost(bench, {}, ("good", "poor")) == wanted
    assert overlap_lost(bench, {}, ("good",)) == Range(0.0, 0.0, 0.0)
