import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.contract import read_contract
from features.errors import EmptyResultError, StudyError
from features.snapshot import DAY, iso, parse_date
from flows import cli, score_cutoff
from flows.run_lock import only_run
from flows.score import choose_cutoff, score
from flows.storage import Workspace, open_workspace
from tests.scored_company import crown_anew, late_contact, make_company, tracker_of

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
NOW = parse_date("2026-01-01")
LATEST, BEFORE = "2024-10-01", "2024-09-01"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study of a company whose latest cutoff is scored; read it, do not change it."""
    study = make_company(tmp_path_factory.mktemp("to score") / "a company")
    assert cli.main(["score", "--study", str(study)]) == 0
    return study


class Copy:
    """A copy of the company, and what happens to it."""

    def __init__(self, study: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.study, self.store, self._capsys = study, study.parent / "store", capsys

    def score(self, *options: str, code: int = 0) -> str:
        """Run the command; what it said, in one line."""
        self._capsys.readouterr()
        assert cli.main(["score", "--study", str(self.study), *options]) == code
        said = self._capsys.readouterr()
        return re.sub(r"\s+", " ", said.out + said.err)

    def say(self, text: str) -> None:
        """Add to the study."""
        self.study.write_text(self.study.read_text("utf-8") + text + "\n", "utf-8")

    def record(self, cutoff: str = LATEST) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.partition(cutoff) / "_scores.json").read_text("utf-8"))
        return found

    def partition(self, cutoff: str = LATEST) -> Path:
        return self.store / "scores" / f"cutoff_date={cutoff}"

    def bytes(self) -> dict[str, str]:
        """Hashes of everything about scores."""
        files = [path for place in ("scores", "scores_superseded") for path in (self.store / place).rglob("*.*")]
        return {
            str(path.relative_to(self.store)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(files)
            if path.is_file()
        }

    def runs(self) -> int:
        tracker = tracker_of(self.workspace)
        return len(tracker.client.search_runs([tracker.experiment("score")]))

    @property
    def workspace(self) -> Workspace:
        return open_workspace(self.study)


@pytest.fixture
def copy(company: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Copy:
    shutil.copytree(company.parent, tmp_path / "a company")
    return Copy(tmp_path / "a company" / "study.yaml", capsys)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let something happen while rows are scored."""

    def plan(happens: Callable[[], object]) -> None:
        scored = score_cutoff.score_tables

        def score_tables(*given: Any) -> Iterator[pa.Table]:
            yield from scored(*given)
            happens()

        monkeypatch.setattr(score_cutoff, "score_tables", score_tables)

    return plan


def test_all_scores_of_a_study_are_read_as_one_table(company: Path) -> None:
    scores = pd.read_parquet(company.parent / "store" / "scores")
    assert set(COLUMNS) < set(scores)
    assert (scores["cutoff"].dt.strftime("%Y-%m-%d") == scores["cutoff_date"].astype(str)).all()


def test_a_score_says_who_how_likely_how_much_why_and_by_which_models(company: Path) -> None:
    part = company.parent / "store" / "scores" / f"cutoff_date={LATEST}" / "part-0.parquet"
    scores = pq.read_table(part, partitioning=None).to_pandas()
    assert list(scores) == COLUMNS
    assert scores["churn_risk"].between(0, 1).all()
    assert scores["customer_id"].is_unique
    assert scores["customer_id"].is_monotonic_increasing
    expected = scores["churn_risk"] * scores["expected_revenue"].clip(lower=0)
    assert (scores["revenue_at_risk"] - expected).abs().max() < 1e-9
    assert scores["reason_1"].notna().all()
    assert set((scores["outcome_matures_at"] - scores["cutoff"]).dt.days) == {91}


def test_the_result_says_what_was_scored_by_which_models_and_where(company: Path) -> None:
    result = json.loads((company.parent / "store" / "results" / "score.json").read_text("utf-8"))
    scores = pd.read_parquet(result["path"])
    assert (result["cutoff"], result["revision"], result["how"], result["why"]) == (LATEST, 1, "new", ["first"])
    assert result["customers"] == len(scores)
    assert result["mean_churn_risk"] == pytest.approx(scores["churn_risk"].mean(), rel=1e-12)
    assert result["revenue_at_risk"] == pytest.approx(scores["revenue_at_risk"].sum(), rel=1e-12)
    assert result["churn_model_version"] == "1"
    assert [one["cutoff"] for one in result["partitions"]] == [LATEST]


def test_the_same_models_and_rows_are_scored_once_and_again_gives_equal_bytes(copy: Copy) -> None:
    before, when = copy.bytes(), (copy.partition() / "part-0.parquet").stat().st_mtime_ns
    assert "nothing was computed" in copy.score()
    assert (copy.partition() / "part-0.parquet").stat().st_mtime_ns == when
    assert "the same bytes came out (revision 1)" in copy.score("--again")
    assert (copy.partition() / "part-0.parquet").stat().st_mtime_ns != when
    (copy.partition() / "part-0.parquet").write_bytes(b"half")
    assert "damaged or gone and was written again" in copy.score()
    assert copy.bytes() == before
    assert copy.runs() == 1


def test_what_was_published_and_not_recorded_is_recorded_by_the_next_run(copy: Copy) -> None:
    tracker = tracker_of(copy.workspace)
    for run in tracker.client.search_runs([tracker.experiment("score")]):
        tracker.client.delete_run(run.info.run_id)
    assert "nothing was computed" in copy.score()
    assert copy.runs() == 1


def test_a_champion_crowned_meanwhile_scores_next_time_and_the_run_says_so(
    copy: Copy, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    shutil.rmtree(copy.store / "scores")
    meanwhile(lambda: crown_anew(copy.workspace, "churn", rows=600))
    said = copy.score()
    assert "northline-churn: version 2 is champion since this run began; these scores are by version 1." in said
    assert "journeylift score" in said
    assert set(pd.read_parquet(copy.partition())["churn_model_version"]) == {"1"}


def test_another_champion_restates_and_the_earlier_scores_are_kept_and_listed(copy: Copy) -> None:
    old = (copy.partition() / "part-0.parquet").read_bytes()
    assert crown_anew(copy.workspace, "churn", rows=600) == "2"
    assert "restated as revision 2 (other model)" in copy.score()
    assert set(pd.read_parquet(copy.store / "scores")["churn_model_version"]) == {"2"}
    kept = copy.store / "scores_superseded" / f"cutoff_date={LATEST}" / "revision=1"
    assert (kept / "part-0.parquet").read_bytes() == old
    assert cli.main(["score", "--study", str(copy.study), "--revisions", "--json", str(copy.study.parent / "r")]) == 0
    listed = json.loads((copy.study.parent / "r").read_text("utf-8"))["revisions"]
    assert [(one["revision"], one["current"], one["churn"]) for one in listed] == [(1, "no", "1"), (2, "yes", "2")]
    assert (copy.store / listed[0]["where"] / "part-0.parquet").read_bytes() == old


def test_a_version_withdrawn_meanwhile_is_refused_and_nothing_is_published(
    copy: Copy, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    before = copy.bytes()
    crown_anew(copy.workspace, "churn", rows=600)
    meanwhile(lambda: tracker_of(copy.workspace).client.delete_model_version("northline-churn", "2"))
    said = copy.score(code=7)
    assert "northline-churn version 2, the champion when this run began, has been withdrawn since" in said
    assert copy.bytes() == before


def test_of_two_runs_at_once_one_wins_and_the_other_says_who(copy: Copy) -> None:
    before = copy.bytes()
    with only_run(copy.store / "score.lock", "score"):
        for options in ((), ("--backfill", BEFORE, LATEST)):
            said = copy.score(*options, code=6)
            assert f"This store is being written by journeylift score, process {os.getpid()} on " in said
    assert copy.bytes() == before
    copy.score()


def test_stale_data_are_refused_unless_told_otherwise_which_is_recorded(copy: Copy) -> None:
    shutil.rmtree(copy.store / "scores")
    copy.say("scoring: {freshness: {touchpoints: 7 days, revenue: 40 days}}")
    said = copy.score("--now", "2024-10-20", code=3)
    assert "The newest row of touchpoints is of 2024-10-" in said
    assert "At most 7 days were expected" in said
    assert "revenue is of" not in said
    assert not copy.partition().exists()
    copy.score("--now", "2024-10-20", "--cutoff", BEFORE)  # its rows are as complete as they will ever be
    assert copy.record(BEFORE)["stale_anyway"] == {}
    copy.score("--now", "2024-10-20", "--stale-anyway")
    assert list(copy.record()["stale_anyway"]) == ["touchpoints"]
    tracker = tracker_of(copy.workspace)
    newest = tracker.client.search_runs([tracker.experiment("score")], max_results=1)[0]
    assert newest.data.tags["stale_anyway"].startswith("touchpoints 2024-10-")


def test_a_clock_that_was_set_back_is_told_and_scores_are_the_same(copy: Copy) -> None:
    before = copy.bytes()
    said = copy.score("--now", "2024-10-02", "--again")
    assert "warning: the clock says 2024-10-02 00:00, before the newest row of touchpoints" in said
    assert "before the last scoring" in said
    assert copy.bytes() == before


def test_a_backfill_goes_on_where_it_was_interrupted_and_comes_to_the_same_bytes(
    copy: Copy, meanwhile: Callable[[Callable[[], object]], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(copy.store / "scores")
    undisturbed = Copy(tmp_path / "undisturbed" / "study.yaml", copy._capsys)
    shutil.copytree(copy.study.parent, undisturbed.study.parent)
    undisturbed.score("--backfill", "2024-07-15", LATEST)
    scored = []

    def interrupted_at_the_second() -> None:
        scored.append(1)
        if len(scored) == 2:
            raise KeyboardInterrupt

    meanwhile(interrupted_at_the_second)
    copy.score("--backfill", "2024-07-15", LATEST, code=130)
    assert sorted(path.name for path in (copy.store / "scores").iterdir()) == ["cutoff_date=2024-08-01"]
    said = copy.score("--backfill", "2024-07-15", LATEST)
    assert len(scored) == 4  # the first one was not scored again
    assert "2024-08-01: scored already" in said
    assert "customers at 3 cutoffs in" in said
    assert copy.bytes() == undisturbed.bytes()


def test_a_backfill_builds_what_the_panel_lacks_and_leaves_out_what_has_no_data(copy: Copy) -> None:
    said = copy.score("--backfill", "2023-05-15", "2023-09-01")
    assert "The panel lacks some of these cutoffs" in said
    assert "left out: no data" in said
    assert [path.name[-10:] for path in sorted((copy.store / "scores").iterdir())] == [
        "2023-07-01", "2023-08-01", "2023-09-01", LATEST,
    ]  # fmt: skip


def test_late_rows_restate_the_cutoffs_they_touch_and_no_others(copy: Copy) -> None:
    copy.score("--backfill", BEFORE, LATEST)
    before = copy.record(BEFORE)
    late_contact(copy.study.parent, "2024-09-20 12:00")
    said = copy.score("--backfill", BEFORE, LATEST)
    assert f"{BEFORE}: scored already" in said
    assert f"{LATEST}: restated as revision 2 (data changed)" in said
    assert copy.record(BEFORE) == before
    assert (copy.record()["revision"], copy.record()["why"]) == (2, ["data"])
    assert len(pd.read_parquet(copy.store / "scores")) == copy.record()["rows"] + before["rows"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backfill": ("2024-09-01", "2024-08-01")}, "the first date lies after the last"),
        ({"backfill": ("2024-09-01", "soon")}, "'soon' is not a date"),
        ({"backfill": ("2024-08-01", "2024-09-01"), "cutoff": LATEST}, "Expected one of them"),
        ({"now": "soon"}, "'soon' is not a time"),
    ],
)
def test_dates_that_cannot_be_meant_are_refused_before_anything_is_done(
    company: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(StudyError, match=message):
        score.fn(str(company), **options)  # type: ignore[attr-defined]


def test_a_backfill_beyond_the_data_or_between_cutoffs_is_refused(copy: Copy) -> None:
    before = copy.bytes()
    said = copy.score("--backfill", "2024-09-01", "2024-12-01", code=5)
    assert "The cutoff 2024-11-01 of --backfill 2024-09-01 2024-12-01 lies beyond the data" in said
    assert "No cutoff of the study lies between" in copy.score("--backfill", "2024-09-02", "2024-09-20", code=5)
    assert copy.bytes() == before


def test_what_the_sink_did_not_take_is_told_and_delivered_by_the_next_run(copy: Copy) -> None:
    copy.say("scoring: {sink: {duckdb: crm.duckdb, table: risks}}")
    path = copy.study.parent / "crm.duckdb"
    path.write_bytes(b"no database" * 999)
    said = copy.score("--cutoff", BEFORE, code=6)
    assert f"The scores of {BEFORE} are published in" in said
    assert "table risks in 'crm.duckdb' does not have them" in said
    rows = copy.record(BEFORE)["rows"]
    path.unlink()
    said = copy.score("--cutoff", BEFORE)
    assert "nothing was computed" in said
    assert f"{BEFORE}: {rows} scores delivered to table risks" in said
    assert "there already in table risks" in copy.score("--cutoff", BEFORE)
    with duckdb.connect(path, read_only=True) as con:
        assert con.execute(
            "SELECT count(*), min(revision) FROM risks WHERE cutoff = ?", [f"{BEFORE} 00:00+00"]
        ).fetchall() == [(rows, 1)]


def test_what_an_earlier_run_published_and_nobody_recorded_or_delivered_is_brought_in(copy: Copy) -> None:
    """Days later another cutoff is the latest, and nobody asks for the one that the sink did not take."""
    copy.say("scoring: {sink: {duckdb: crm.duckdb, table: risks}}")
    path = copy.study.parent / "crm.duckdb"
    path.write_bytes(b"no database" * 999)
    copy.score("--cutoff", BEFORE, code=6)
    copy.score("--cutoff", LATEST, code=6)
    tracker = tracker_of(copy.workspace)
    for run in tracker.client.search_runs([tracker.experiment("score")]):
        tracker.client.delete_run(run.info.run_id)
    path.unlink()
    said = copy.score()
    rows = {at: copy.record(at)["rows"] for at in (BEFORE, LATEST)}
    assert f"{BEFORE}: {rows[BEFORE]} scores delivered to table risks" in said
    assert copy.runs() == 2
    assert f"{BEFORE}:" not in copy.score()
    with duckdb.connect(path, read_only=True) as con:
        assert con.execute("SELECT count(*) FROM risks").fetchall() == [(sum(rows.values()),)]


def test_a_sink_that_does_not_take_earlier_scores_does_not_keep_new_ones_from_being_published(copy: Copy) -> None:
    copy.say("scoring: {sink: {duckdb: crm.duckdb, table: risks}}")
    (copy.study.parent / "crm.duckdb").write_bytes(b"no database" * 999)
    said = copy.score("--cutoff", BEFORE, code=6)
    assert f"The scores of {BEFORE} are published in" in said
    assert copy.partition(BEFORE).exists()


def test_a_cutoff_beyond_the_data_is_refused_with_the_latest_one(company: Path) -> None:
    contract = read_contract(company.parent / "store")
    beyond = iso(contract.data_end + 40 * DAY)
    with pytest.raises(EmptyResultError, match=rf"lies beyond the data, which end on .*{iso(contract.cutoffs[-1])}"):
        choose_cutoff(contract, beyond, NOW)


@pytest.mark.parametrize(("wanted", "match"), [("1.6.2025", "is not a date"), ("2024-06-02", "none of the .* cutoffs")])
def test_a_cutoff_that_is_none_is_refused(company: Path, wanted: str, match: str) -> None:
    with pytest.raises(StudyError, match=match):
        choose_cutoff(read_contract(company.parent / "store"), wanted, NOW)


def test_the_latest_cutoff_may_be_named_also_where_the_data_end_just_before_it(company: Path) -> None:
    contract = read_contract(company.parent / "store")
    ended = contract.model_copy(update={"data_end": contract.cutoffs[-1] - 1})
    assert choose_cutoff(ended, iso(contract.cutoffs[-1]), NOW) == choose_cutoff(ended, None, NOW)


def test_a_cutoff_that_is_still_to_come_is_not_scored(company: Path) -> None:
    """On the day of the newest row its midnight is ahead, though the panel takes that day for complete."""
    contract = read_contract(company.parent / "store")
    before, last = contract.cutoffs[-2:]
    ended = contract.model_copy(update={"data_end": last - 21 * DAY // 24})
    hour_later = ended.data_end + DAY // 24
    assert choose_cutoff(ended, None, hour_later) == before
    with pytest.raises(EmptyResultError, match=rf"{iso(last)} is still to come .* Score {iso(before)} or earlier"):
        choose_cutoff(ended, iso(last), hour_later)
    assert choose_cutoff(ended, iso(last), last) == choose_cutoff(ended, None, last) == last
    assert choose_cutoff(ended, None, 0) == before  # a clock behind the data
    with pytest.raises(EmptyResultError, match=r"still to come .* known yet\. Wait until"):
        choose_cutoff(ended.model_copy(update={"partitions": ended.partitions[-1:]}), None, hour_later)


def test_an_immature_cutoff_is_what_scoring_is_for(company: Path) -> None:
    contract = read_contract(company.parent / "store")
    assert choose_cutoff(contract, None, NOW) == max(contract.cutoffs)
    assert max(contract.cutoffs) not in contract.matured
