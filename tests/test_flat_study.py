import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.errors import UnsupportedError
from flows import cli
from tests.copies import copied, people

STUDY = """
study: flat
sources: {t: people.csv}
journeys: [{name: join, stage: join}, {name: help, stage: use}]
measures:
  - {name: setup, unit: days, kind: duration, direction: lower, journey: join}
  - {name: wait, unit: min, kind: duration, direction: lower, journey: help}
flat: {from: t, columns: {customer_id: id}, churned: left, covariates: [region]}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flat")
    rng = np.random.default_rng(3)
    n = 1_200
    setup, wait = rng.gamma(2, 3, n), rng.gamma(2, 4, n)
    left = rng.random(n) < 1 / (1 + np.exp(-(wait / 6 + setup / 8 - 3.2)))
    table = {"id": [f"é{i}" for i in range(n)], "setup": setup, "wait": wait, "left": left.astype(int)}
    pd.DataFrame({**table, "region": rng.choice(["north", "süd"], n)}).to_csv(folder / "people.csv", index=False)
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    return folder / "study.yaml"


def test_a_flat_table_is_trained_explained_scored_and_reported(study: Path) -> None:
    for command in ("check", "train", "explain", "score", "report"):
        assert cli.main([command, "--study", str(study)]) == 0, command
    results = study.parent / "store" / "results"
    explained = json.loads((results / "explain.json").read_text("utf-8"))
    assert {row["measure"] for row in explained["effects"]} == {"setup", "wait"}
    assert set(json.loads((results / "train.json").read_text("utf-8"))["outcomes"]) == {"churn"}
    scored = json.loads((results / "score.json").read_text("utf-8"))
    assert scored["customers"] == 1_200
    assert scored["revenue_model_version"] is None


def test_a_survey_without_churn_is_explained_and_reported_and_nothing_is_predicted(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = pd.read_csv(study.parent / "people.csv").drop(columns="left")
    people["Overall Rating"] = (10 - 0.4 * people["wait"]).clip(0).where(people.index % 10 > 0)
    people.to_csv(tmp_path / "people.csv", index=False)
    text = STUDY.replace("churned: left", "outcomes: {satisfaction: Overall Rating}")
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    for command in ("check", "explain", "report"):
        assert cli.main([command, "--study", str(tmp_path / "study.yaml")]) == 0, command
    explained = json.loads((tmp_path / "store" / "results" / "explain.json").read_text("utf-8"))
    first, second = explained["association"]
    assert (first["outcome"], first["journey"], first["n"]) == ("satisfaction", "help", 1_080)
    assert first["share"] > 0.95 > second["share"]
    assert explained["effects"] == []
    page = (tmp_path / "store" / "report.html").read_text("utf-8")
    assert "Association with satisfaction" in page
    assert "<h1>flat: what goes along with its outcomes</h1>" in page
    assert "Run journeylift" not in page
    capsys.readouterr()
    for command in ("train", "score"):
        assert cli.main([command, "--study", str(tmp_path / "study.yaml")]) == 8
        assert "names no churn" in capsys.readouterr().err
    assert not (tmp_path / "store" / "scores").exists()


INITIATIVES = """
initiatives:
  - {name: faster, changes: [{journey: help, measure: wait, scale: 0.8}], cost: {once: 10}}
  - {name: gone, changes: [{journey: help, measure: wait, shift: -100}]}
  - {name: chat, changes: [{journey: help, measure: wait, shift: -1, channel: chat}]}
"""


@pytest.fixture(scope="module")
def simulated(study: Path) -> Path:
    (study.parent / "initiatives.yaml").write_text(INITIATIVES, encoding="utf-8")
    assert cli.main(["simulate", "--study", str(study)]) == 0
    return study.parent / "store" / "results" / "simulate.json"


def test_no_portfolio_is_chosen_from_a_flat_table(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["portfolio", "--study", str(study)]) == UnsupportedError.exit_code
    assert "no money over months can be planned, compared or chosen by" in capsys.readouterr().err


def test_initiatives_on_a_flat_table_are_told_for_one_wave_with_what_is_switched_off(simulated: Path) -> None:
    found = json.loads(simulated.read_text("utf-8"))
    faster, gone, chat = found["flat_effects"]
    assert faster["lo"] < faster["effect"] < faster["hi"] < 0
    assert (faster["outcome"], faster["n_customers"], faster["verdict"]) == ("churn", 1_200, "possible")
    assert faster["reason"].endswith("no past to test it on (no placebo).")
    assert faster["adjustment"] == "join: setup, region"
    assert (gone["verdict"], gone["effect"]) == ("refused", None)
    assert chat["reason"].startswith("A flat table has no channels")
    assert found["flat_money"] == []
    assert [said for said in found["switched_off"] if said.startswith("months")]
    (third,) = found["flat_thirds"]
    assert third["worst_to"] > third["best_from"] > third["best_to"]


def test_the_same_simulation_twice_gives_the_same_bytes(study: Path, simulated: Path) -> None:
    before = json.loads(simulated.read_text("utf-8"))
    assert cli.main(["simulate", "--study", str(study)]) == 0
    after = json.loads(simulated.read_text("utf-8"))
    assert before | {"run_id": ""} == after | {"run_id": ""}


def test_an_initiative_of_another_journey_is_one_sentence(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(INITIATIVES.replace("journey: help, measure: wait, scale", "journey: join, measure: wait, scale"))
    assert cli.main(["simulate", "--study", str(study), "--initiatives", str(plan)]) == 2
    assert "'wait' is not measured in 'join'. It is in: help." in " ".join(capsys.readouterr().err.split())


def test_a_flat_table_has_no_journeys_to_compare_and_nothing_is_built_for_it(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("people.csv", "study.yaml"):
        (tmp_path / name).write_bytes((study.parent / name).read_bytes())
    assert cli.main(["premium", "--study", str(tmp_path / "study.yaml")]) == 8
    assert "The study is a flat table" in capsys.readouterr().err
    assert not (tmp_path / "store" / "panel").exists()


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copies")
    rng = np.random.default_rng(5)
    rows = copied(people(rng, 300), 4, 0.02, rng).rename(columns={"a": "setup", "b": "wait", "is_churned": "left"})
    rows = rows.assign(id=[f"c{i:04d}" for i in range(len(rows))], setup=rows["setup"] - rows["setup"].min())
    rows.assign(wait=rows["wait"] - rows["wait"].min()).to_csv(folder / "people.csv", index=False)
    covariates = "covariates: [c, d, e, f, plan0, plan1, plan2, plan3]"
    (folder / "study.yaml").write_text(STUDY.replace("covariates: [region]", covariates), encoding="utf-8")
    return folder / "study.yaml"


def test_near_copies_are_told_by_check_and_kept_whole_by_train(
    copies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["check", "--study", str(copies)]) == 0
    assert "1,200 of 1,200 rows (100%) are near copies" in " ".join(capsys.readouterr().out.split())
    found = json.loads((copies.parent / "store" / "results" / "check.json").read_text("utf-8"))["replication"]
    assert (found["rows"], found["groups"], sorted(found["lags"])) == (1_200, 300, [300, 600, 900])
    assert cli.main(["train", "--study", str(copies)]) == 0
    assert "their 300 groups are kept whole" in " ".join(capsys.readouterr().out.split())
