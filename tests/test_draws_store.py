"""The draws of a simulation on disk: the same numbers back, the same bytes, no customer, no pickle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.errors import StoreError
from features.study import Money
from flows.draws_store import Stored, read_draws, write_draws
from models.cash import Cohort
from models.combinations import combine
from models.costs import Cost
from models.forecasts import Refusal, ruled, sample
from models.response_surface import ResponseSurface
from models.retention import Retention
from models.simulation import compare
from tests.worths import a_forecast, an_effect, an_initiative, an_overlap


def stored(draws: int = 300) -> Stored:
    forecasts = [
        a_forecast("b", an_effect(se=0.002, form=0.08), half=an_effect(churn=-0.006, se=0.001), delivery=(0.5, 0.8, 1)),
        a_forecast("a", an_effect(churn=-0.02, se=0.003, at=4), cost=Cost(once=(1, 2, 5)), needs=("b",)),
    ]
    samples = sample(forecasts, [an_overlap(("a", "b"), churn=-0.004, se=0.001)], np.random.default_rng(5), draws)
    retention = Retention(np.linspace(1.0, 0.8, 12), 11, 5_000)
    surface = ResponseSurface(samples, Cohort(1_000, 91), Money(months=12), retention)
    return Stored(surface, (Refusal(an_initiative("c"), "nobody controls it"),), {"seed": "5", "data": "x"})


def test_what_is_read_gives_the_same_money_to_the_bit(tmp_path: Path) -> None:
    before, path = stored(), tmp_path / "draws.npz"
    write_draws(path, before)
    after = read_draws(path)
    assert after is not None
    assert (after.made_from, after.refusals) == (before.made_from, before.refusals)
    for name in ("a", "b"):
        assert (after.surface.answer(name).npv == before.surface.answer(name).npv).all()
        assert (after.surface.answer(name, size=0.3).npv == before.surface.answer(name, size=0.3).npv).all()
    pairs = [
        combine(one.surface.samples, one.surface.cohort, one.surface.money, one.surface.retention)
        for one in (before, after)
    ]
    assert (pairs[0].pairs[0].difference == pairs[1].pairs[0].difference).all()


def test_new_timing_and_cost_give_the_numbers_of_a_full_run_to_the_last_digit(tmp_path: Path) -> None:
    effects = {"b": an_effect(se=0.002, form=0.08), "a": an_effect(churn=-0.02, se=0.003, at=4)}
    overlap = an_overlap(("a", "b"), churn=-0.004, se=0.001)
    cohort, money, retention = Cohort(1_000, 91), Money(months=12), Retention(np.linspace(1.0, 0.8, 12), 11, 5_000)

    def run(**given: Any) -> ResponseSurface:
        judged = ruled([a_forecast(name, one, **given) for name, one in effects.items()], np.random.default_rng(1))
        return ResponseSurface(sample(judged, [overlap], np.random.default_rng(5), 300), cohort, money, retention)

    def table(one: ResponseSurface) -> pd.DataFrame:
        return compare(one.samples, (), cohort, money, one.retention, ["b", "a"]).to_frame()

    def together(one: ResponseSurface) -> pd.DataFrame:
        return combine(one.samples, cohort, money, one.retention).to_frame()

    given: dict[str, Any] = {
        "cost": Cost(once=(1, 2, 5), monthly=3), "start_month": 2, "ramp_months": 4, "lasts_months": 6, "title": "X",
    }  # fmt: skip
    wanted, path = run(**given), tmp_path / "draws.npz"
    write_draws(path, Stored(run(), (), {"seed": "5"}))
    before = read_draws(path)
    assert before is not None
    now = before.rewritten([one.forecast.initiative for one in wanted.samples.initiatives], {"seed": "5", "now": "x"})
    assert now.made_from == {"seed": "5", "now": "x"}
    pd.testing.assert_frame_equal(table(now.surface), table(wanted), check_exact=True)
    pd.testing.assert_frame_equal(together(now.surface), together(wanted), check_exact=True)
    assert not table(now.surface)["npv"].equals(table(before.surface)["npv"])


def test_negative_controls_and_refusals_come_back(tmp_path: Path) -> None:
    controls = pd.DataFrame([("billing: colour x 1.2", 0.1 + 0.2, float("nan"), 300, "passes")], columns=list("abcde"))
    write_draws(tmp_path / "one", replace(stored(), controls=controls))
    after = read_draws(tmp_path / "one")
    assert after is not None
    pd.testing.assert_frame_equal(after.controls, controls, check_exact=True)
    renamed = [an_initiative(name, title=name.upper()) for name in ("a", "b", "c")]
    assert after.rewritten(renamed, {}).refusals[0].initiative.label == "C"


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_draws(tmp_path / name, stored())
    again = read_draws(tmp_path / "one")
    assert again is not None
    write_draws(tmp_path / "three", again)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == (tmp_path / "three").read_bytes()


def test_the_file_is_small_and_knows_no_customers(tmp_path: Path) -> None:
    path = tmp_path / "draws.npz"
    write_draws(path, stored(draws=4_000))
    with np.load(path, allow_pickle=False) as arrays:
        assert {len(one.shape) and one.shape[-2] for name, one in arrays.items() if "noise" in name} == {4_000}
    assert path.stat().st_size < 4_000 * 2 * 4 * 5 + 20_000


def test_no_file_is_none_and_a_broken_one_is_told(tmp_path: Path) -> None:
    assert read_draws(tmp_path / "none.npz") is None
    write_draws(tmp_path / "whole.npz", stored())
    whole = (tmp_path / "whole.npz").read_bytes()
    for content in (b"", whole[: len(whole) // 2]):
        (tmp_path / "broken.npz").write_bytes(content)
        with pytest.raises(StoreError, match="Delete it and simulate again"):
            read_draws(tmp_path / "broken.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK not a zip")
    with pytest.raises(StoreError, match="Delete it and simulate again"):
        read_draws(tmp_path / "broken.npz")


def test_draws_of_an_earlier_version_are_as_good_as_none(tmp_path: Path) -> None:
    path = tmp_path / "draws.npz"
    np.savez(path, said=np.array('{"made_from": {}}'))
    assert read_draws(path) is None
