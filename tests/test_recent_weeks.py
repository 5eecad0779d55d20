from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.company import simulate_company
from features.company_files import write_company
from features.layout import Layout, lay_out
from features.recent_weeks import count_spans
from features.snapshot import DAY, cutoffs, iso, parse_date
from features.study import Study
from flows.monitor_sources import look_at_sources
from flows.storage import open_workspace

WEEK = 7 * DAY


def laid_out(folder: Path, every: str) -> tuple[Study, Layout]:
    path = folder / "study.yaml"
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("snapshot:")]
    path.write_text("\n".join([*lines, f"snapshot: {{every: {every}}}", ""]), "utf-8")
    study = open_workspace(path).study
    return study, lay_out(study, folder, folder / "store")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weekly") / "a company"
    write_company(simulate_company(500, 3, weeks=70), folder)
    return folder


@pytest.fixture(scope="module")
def weekly(company: Path) -> tuple[Study, Layout]:
    return laid_out(company, "week")


def last_monday(layout: Layout) -> int:
    return parse_date("1970-01-05") + (layout.manifest.data_end - parse_date("1970-01-05")) // WEEK * WEEK


def rows_of(layout: Layout) -> pd.DataFrame:
    tables = [layout.table(number, "touchpoints") for number in range(layout.manifest.buckets)]
    return pd.concat([one.to_pandas() for one in tables], ignore_index=True)


def test_spans_hold_what_plain_pandas_counts(weekly: tuple[Study, Layout]) -> None:
    study, layout = weekly
    at = last_monday(layout)
    found = count_spans(layout, study, at, 2)
    assert found.names[-1] == f"the 14 days to {iso(at)}"
    rows = rows_of(layout)
    end = at - 3 * 2 * WEEK
    here = rows[(rows["occurred_at"] > end - 2 * WEEK) & (rows["occurred_at"] <= end)]
    name = f"the 14 days to {iso(end)}"
    counts = here["journey"].astype(str).value_counts()
    assert {journey: n for (when, journey), n in found.volumes.items() if when == name} == counts[counts > 0].to_dict()
    (waits,) = [one for one in found.periods if (one.measure, one.journey) == ("wait", "support")]
    values = here.loc[here["journey"].astype(str) == "support", "wait"].dropna()
    place = waits.periods.index(name)
    assert (waits.rows[place], waits.n[place]) == (counts["support"], len(values))
    quartiles = waits.quartiles[place]
    assert quartiles is not None
    size = values[values != 0].abs()
    assert quartiles[1] == pytest.approx(np.quantile(size, 0.5, method="inverted_cdf"), rel=1 / 128)


def test_a_span_ends_with_the_cutoff_and_does_not_hold_its_start(weekly: tuple[Study, Layout]) -> None:
    study, layout = weekly
    at = int(rows_of(layout)["occurred_at"].max())
    one, later = (count_spans(layout, study, moment, 1) for moment in (at, at + 1))
    ended, begun = (
        sum(n for (when, _), n in found.volumes.items() if when == found.names[-1]) for found in (one, later)
    )
    rows = rows_of(layout)["occurred_at"]
    assert ended == int(((rows > at - WEEK) & (rows <= at)).sum())
    assert begun == int(((rows > at + 1 - WEEK) & (rows <= at)).sum())


@pytest.mark.parametrize(
    ("every", "told"), [("week", {("volume", "act")}), ("1", {("volume", "act")}), ("month", set())]
)
def test_a_source_that_stopped_a_week_ago_is_caught_by_the_first_batch_that_is_not_a_months(
    every: str, told: set[tuple[str, str]], company: Path, weekly: tuple[Study, Layout], tmp_path: Path
) -> None:
    at = last_monday(weekly[1])
    for path in company.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    table = pq.read_table(company / "touchpoints.parquet")
    rows = table.to_pandas()
    moment = pd.to_datetime(rows["event_time"], utc=True)
    gone = rows["process"].astype(str).eq("support") & (moment > pd.Timestamp(at - WEEK, unit="us", tz="UTC"))
    pq.write_table(table.filter(pa.array(~gone.to_numpy())), tmp_path / "touchpoints.parquet")
    study, layout = laid_out(tmp_path, every)
    last = at - 13 * WEEK
    found = look_at_sources(study, layout, last, at, 0.02)
    assert {(one.kind, one.verdict) for one in found.reasons} == told
    assert all(one.text.startswith("support: 0 touchpoints in the 7 days to") for one in found.reasons)


def test_undisturbed_weeks_raise_no_more_alarms_than_stated(weekly: tuple[Study, Layout]) -> None:
    study, layout = weekly
    every = cutoffs(study.snapshot, layout.manifest.data_start, layout.manifest.data_end)
    later = every[-12:]
    alarms = sum(bool(look_at_sources(study, layout, at - 13 * WEEK, at, 0.02).reasons) for at in later)
    assert len(later) == 12
    assert alarms <= 2  # 0.24 are expected at most; more than 2 has a chance of 0.2 % (were weeks independent)


def test_what_is_too_rare_by_weeks_is_judged_by_the_month(weekly: tuple[Study, Layout]) -> None:
    study, layout = weekly
    at = last_monday(layout)
    found = look_at_sources(study, layout, at - 13 * WEEK, at, 0.02)
    spans = set(found.table["period"])
    assert len(spans) == 2
    assert not found.table.duplicated(["what", "aspect"]).any()
