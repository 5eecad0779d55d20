import numpy as np
import pandas as pd
import pytest

from features.flat import read_flat
from features.flat_panel import flat_contract
from features.study import parse_study
from flows.ratings import rate_drivers

STUDY = """
study: survey
sources: {t: t.parquet}
journeys: [{name: stay, stage: use}]
measures:
  - {name: room, unit: points, kind: rating, direction: higher, range: [1, 5], journey: stay}
  - {name: noise, unit: points, kind: rating, direction: lower, range: [0, 10], journey: stay}
  - {name: pool, unit: points, kind: rating, direction: higher, range: [1, 5], journey: stay}
flat: {from: t, columns: {customer_id: id}, churned: left, outcomes: {overall: overall}}
"""


def answers(n: int = 1_500) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    room, pool = rng.integers(1, 6, n).astype(float), rng.integers(1, 6, n).astype(float)
    noise = rng.integers(0, 11, n).astype(float)
    overall = 3 + 0.5 * room - 0.1 * noise + rng.normal(0, 0.5, n)
    left = rng.random(n) < 1 / (1 + np.exp(2.5 + 0.4 * (room - 3)))
    pool[rng.random(n) < 0.6] = np.nan
    table = {"id": [f"c{i}" for i in range(n)], "room": room, "noise": noise, "pool": pool, "overall": overall}
    return pd.DataFrame({**table, "left": left.astype(int)})


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, tuple[str, ...]]:
    return _rated(answers(), tmp_path_factory.mktemp("ratings"))


def _rated(rows: pd.DataFrame, folder) -> tuple[pd.DataFrame, tuple[str, ...]]:
    rows.to_parquet(folder / "t.parquet", index=False)
    study = parse_study(STUDY, "study.yaml")
    table = read_flat(study, folder)
    contract, _ = flat_contract(study, table)
    names = {feature.measure: feature.name for feature in contract.features}
    return rate_drivers(study, contract, table.frame.rename(columns=names), 0)


def test_every_outcome_has_a_row_a_rating_with_what_a_point_better_goes_along_with(rated) -> None:
    found, notes = rated
    assert notes == ()
    assert found.groupby("outcome").size().to_dict() == {"churn": 3, "overall": 3}
    overall = found[found["outcome"] == "overall"].set_index("driver")
    assert overall.loc["room (points)", "effect"] == pytest.approx(0.5, abs=0.05)
    assert overall.loc["noise (points)", "effect"] == pytest.approx(0.1, abs=0.02)  # a point less noise is better
    assert overall.loc["pool (points)", "effect_lo"] < 0 < overall.loc["pool (points)", "effect_hi"]
    assert overall.loc["pool (points)", "reach"] == pytest.approx(0.4, abs=0.05)
    assert set(overall["better"]) == {"higher"}
    churn = found[found["outcome"] == "churn"].set_index("driver")
    assert churn.loc["room (points)", "effect"] < 0
    assert set(churn["better"]) == {"lower"}


def test_performance_runs_from_the_worst_to_the_best_answer(rated) -> None:
    found, rows = rated[0].drop_duplicates("driver").set_index("driver"), answers()
    assert found.loc["room (points)", "performance"] == pytest.approx(100 * (rows["room"].mean() - 1) / 4)
    assert found.loc["noise (points)", "performance"] == pytest.approx(100 - 10 * rows["noise"].mean())
    assert (found["performance_lo"] < found["performance"]).all()
    assert (found["performance"] < found["performance_hi"]).all()


def test_too_few_customers_are_told_of_and_nothing_else(tmp_path) -> None:
    found, notes = _rated(answers(150), tmp_path)
    assert found.empty
    assert len(notes) == 2
    assert notes[0] == "ratings and churn: not told: 150 customers; at least 200 are needed."


def test_who_gives_the_same_score_to_everything_is_told_of(tmp_path) -> None:
    rows = answers().assign(pool=lambda frame: frame["room"])
    text = STUDY.replace("name: noise, unit: points, kind: rating, direction: lower, range: [0, 10]",
                         "name: noise, unit: points, kind: rating, direction: higher, range: [1, 5]")  # fmt: skip
    more = "  - {name: bar, unit: points, kind: rating, direction: higher, range: [1, 5], journey: stay}\nflat:"
    rows = rows.assign(noise=rows["room"], bar=rows["room"])
    rows.to_parquet(tmp_path / "t.parquet", index=False)
    study = parse_study(text.replace("flat:", more), "study.yaml")
    table = read_flat(study, tmp_path)
    contract, _ = flat_contract(study, table)
    names = {feature.measure: feature.name for feature in contract.features}
    _, notes = rate_drivers(study, contract, table.frame.rename(columns=names), 0)
    assert any("same score" in note for note in notes)
