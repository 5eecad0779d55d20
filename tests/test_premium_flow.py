"""``journeylift premium`` on a small company: the result, what MLflow keeps, the same bytes again, the report."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from features.errors import EmptyResultError, UnsupportedError
from flows import cli
from flows.premium import refusal
from flows.results import gather
from flows.storage import open_workspace
from flows.tracking import open_tracker
from models.premium import MATTERS, Premium

METRICS = ("log_loss", "auc", "expected_max_profit")


@dataclass(frozen=True)
class Compared:
    """A company of the test's own on which ``premium`` has run."""

    study: Path
    result: dict[str, Any]


def _result(study: Path) -> dict[str, Any]:
    return dict(json.loads((study.parent / "store" / "results" / "premium.json").read_text("utf-8")))


@pytest.fixture(scope="module")
def compared(demo_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    folder = tmp_path_factory.mktemp("premium") / "a company"
    shutil.copytree(demo_dir, folder, ignore=shutil.ignore_patterns("said.txt", "report.html"))
    assert cli.main(["premium", "--study", str(folder / "study.yaml"), "--seed", "3"]) == 0
    return Compared(folder / "study.yaml", _result(folder / "study.yaml"))


def test_the_result_holds_gains_with_intervals_and_what_they_rest_on(compared: Compared) -> None:
    found = compared.result
    assert found["verdict"] in {"journeys add", "undecided", "journeys add nothing that can be told"}
    assert [row["metric"] for row in found["gains"]] == list(METRICS)
    for row in (found["share"], *found["gains"], *found["rivals"]):
        assert row["lo"] < row["gain"] < row["hi"]
    assert found["rivals"][0]["model"] == found["best"]
    assert {row["model"].split(" (")[0] for row in found["rivals"]} == {"logistic", "boosting", "additive boosting"}
    assert all(re.search(r": (logistic|boosting) \(", one) for one in found["chosen"])
    assert not set(found["terms"]) & set(found["touchpoint_terms"])
    assert (found["most_rows"], found["matters"], found["is_thorough"]) == (3_000, MATTERS, False)
    features = json.loads((compared.study.parent / "store" / "results" / "features.json").read_text("utf-8"))
    assert set(found["tested"]) < set(features["matured"])
    assert found["data_fingerprint"] == features["data_fingerprint"]


def test_the_verdict_follows_from_the_intervals(compared: Compared) -> None:
    found = compared.result
    adds = all(row["lo"] > 0 for row in found["rivals"])
    assert (found["verdict"] == "journeys add") == adds
    if not adds:
        assert (found["verdict"] == "undecided") == (found["share"]["hi"] >= MATTERS)


def test_mlflow_keeps_parameters_metrics_tags_tables_and_the_chart(compared: Compared) -> None:
    workspace = open_workspace(compared.study)
    tracker = open_tracker(workspace.study, workspace.store)
    run = tracker.client.get_run(compared.result["run_id"])
    assert run.info.experiment_id == tracker.experiment("premium")
    for row in (compared.result["share"], *compared.result["gains"]):
        for name in ("gain", "lo", "hi"):
            assert run.data.metrics[f"{row['metric']}.{name}"] == row[name]
    assert run.data.tags["verdict"] == compared.result["verdict"]
    assert run.data.tags["data_fingerprint"] == compared.result["data_fingerprint"]
    assert run.data.params["candidates.0"] == "logistic"
    assert (run.data.params["seed"], run.data.params["snapshot.horizon_days"]) == ("3", "91")
    kept = {one.path for one in tracker.client.list_artifacts(run.info.run_id)}
    assert kept == {"premium.csv", "premium.svg", "rivals.csv", "study.yaml"}


def test_the_same_seed_gives_the_same_bytes_on_stdout_but_for_the_run(
    compared: Compared, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (compared.study.parent / "store" / "results" / "premium.json").read_text("utf-8")
    capsys.readouterr()
    assert cli.main(["premium", "--study", str(compared.study), "--seed", "3", "--json", "-"]) == 0
    told = capsys.readouterr()
    run = str(json.loads(told.out)["run_id"])
    assert run != compared.result["run_id"]
    assert told.out.replace(run, str(compared.result["run_id"])) == before
    assert re.search(r"^Whole journeys against the best model of single touchpoints", told.err, re.MULTILINE)
    assert re.search(r"^(Yes|Undecided|No gain that matters)[:,]", told.err, re.MULTILINE)
    assert re.search(r"^premium: [\d,]+ mature rows in, 1 verdict out, \d+\.\d s -> .*premium\.json$", told.err, re.M)


def test_the_report_shows_it_and_says_when_the_data_have_changed_since(compared: Compared, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert cli.main(["report", "--study", str(compared.study), "--out", str(page)]) == 0
    text = page.read_text("utf-8")
    assert text.count('href="#premium"') == 2  # in short, and contents
    assert "Run journeylift premium." not in text
    assert "Data or features have changed since" not in text
    store = tmp_path / "a company" / "store"
    shutil.copytree(compared.study.parent, store.parent)
    path = store / "results" / "premium.json"
    path.write_text(json.dumps({**_result(compared.study), "data_fingerprint": "of other tables"}), encoding="utf-8")
    found = gather(open_workspace(store.parent / "study.yaml")).premium
    assert found is not None
    assert found.is_stale


def test_a_report_without_it_says_what_to_run(demo_dir: Path) -> None:
    page = (demo_dir / "report.html").read_text("utf-8")
    assert "Journeys have not been compared with touchpoints. Run journeylift premium." in page
    assert page.count('href="#premium"') == 1  # contents


def test_an_unknown_feature_to_allow_is_exit_2_with_the_nearest_one(
    copied: Callable[[bool], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    study = copied(True)
    assert cli.main(["premium", "--study", str(study), "--allow", "tenure_day"]) == 2
    assert "Did you mean 'tenure_days'?" in capsys.readouterr().err
    assert not (study.parent / "store" / "results" / "premium.json").exists()


def _refused(terms: tuple[str, ...], touchpoint_terms: tuple[str, ...]) -> Premium:
    sentence = "Journeys were not compared with touchpoints: for a reason."
    return Premium("not compared", sentence, (), None, (), "", (), touchpoint_terms, terms, 0, 0)


def test_too_few_churners_may_pass_and_missing_features_will_not() -> None:
    few = refusal(_refused(("a",), ("b",)))
    assert isinstance(few, EmptyResultError)
    assert few.message.endswith("for a reason. Bring more customers or a longer history.")
    for absent in (_refused((), ("b",)), _refused(("a",), ())):
        assert isinstance(refusal(absent), UnsupportedError)
