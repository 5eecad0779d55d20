import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.contract import read_contract
from features.errors import EmptyResultError, StudyError
from features.snapshot import DAY, iso
from flows import cli
from flows.score import choose_cutoff

COLUMNS = [
    "customer_id",
    "cutoff",
    "churn_risk",
    "expected_revenue",
    "revenue_at_risk",
    "reason_1",
    "reason_2",
    "reason_3",
    "churn_model_version",
    "revenue_model_version",
    "feature_contract_hash",
    "outcome_matures_at",
]


@pytest.fixture
def part(demo_dir: Path) -> Path:
    (found,) = (demo_dir / "store" / "scores").glob("cutoff_date=*/part-0.parquet")
    return found


def test_all_scores_of_a_study_are_read_as_one_table(demo_dir: Path) -> None:
    scores = pd.read_parquet(demo_dir / "store" / "scores")
    assert set(COLUMNS) < set(scores)
    assert (scores["cutoff"].dt.strftime("%Y-%m-%d") == scores["cutoff_date"].astype(str)).all()


def test_a_score_says_who_how_likely_how_much_why_and_by_which_models(part: Path) -> None:
    scores = pq.read_table(part, partitioning=None).to_pandas()
    assert list(scores) == COLUMNS
    assert scores["churn_risk"].between(0, 1).all()
    assert scores["customer_id"].is_unique
    assert scores["customer_id"].is_monotonic_increasing
    expected = scores["churn_risk"] * scores["expected_revenue"].clip(lower=0)
    assert (scores["revenue_at_risk"] - expected).abs().max() < 1e-9
    assert scores["reason_1"].notna().all()
    assert set(scores["outcome_matures_at"] - scores["cutoff"]) == {
        scores["outcome_matures_at"][0] - scores["cutoff"][0]
    }
    assert (scores["outcome_matures_at"][0] - scores["cutoff"][0]).days == 91


def test_scoring_again_gives_equal_bytes(copied: Callable[[bool], Path], part: Path) -> None:
    study = copied(True)
    again = study.parent / "store" / "scores" / part.parent.name / part.name
    again.unlink()
    assert cli.main(["score", "--study", str(study)]) == 0
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(part.read_bytes()).digest()


def test_an_earlier_cutoff_gets_a_partition_of_its_own(
    copied: Callable[[bool], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    study = copied(True)
    wanted = iso(read_contract(study.parent / "store").matured[-1])
    assert cli.main(["score", "--study", str(study), "--cutoff", wanted, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["cutoff"] == wanted
    assert len(list((study.parent / "store" / "scores").glob("cutoff_date=*"))) == 2


def test_a_cutoff_beyond_the_data_is_refused_with_the_latest_one(demo_dir: Path) -> None:
    contract = read_contract(demo_dir / "store")
    beyond = iso(contract.data_end + 40 * DAY)
    with pytest.raises(EmptyResultError, match=rf"lies beyond the data, which end on .*{iso(contract.cutoffs[-1])}"):
        choose_cutoff(contract, beyond)


@pytest.mark.parametrize(("wanted", "match"), [("1.6.2025", "is not a date"), ("2025-06-02", "none of the .* cutoffs")])
def test_a_cutoff_that_is_none_is_refused(demo_dir: Path, wanted: str, match: str) -> None:
    with pytest.raises(StudyError, match=match):
        choose_cutoff(read_contract(demo_dir / "store"), wanted)


def test_an_immature_cutoff_is_what_scoring_is_for(demo_dir: Path) -> None:
    contract = read_contract(demo_dir / "store")
    assert choose_cutoff(contract, None) == max(contract.cutoffs)
    assert max(contract.cutoffs) not in contract.matured
