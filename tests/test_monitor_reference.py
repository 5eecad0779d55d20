from types import SimpleNamespace

import pandas as pd
import pytest

from features.contract import PanelContract, Partition
from features.manifest import Periods, Volume
from features.snapshot import parse_date
from flows.monitor_reference import reference_cutoffs
from flows.monitor_sources import arrived
from flows.succession import TRAINED_UNTIL

DAYS = [f"2025-{month:02}-01" for month in range(1, 11)]
MONTHS = [str(one) for one in pd.period_range("2024-01", "2025-09", freq="M")]


def contract(mature: int) -> PanelContract:
    partitions = [
        Partition(cutoff=parse_date(day), rows=9, is_mature=place < mature, parts=()) for place, day in enumerate(DAYS)
    ]
    return PanelContract(
        study="a", layout_fingerprint="", feature_contract_hash="", features=(), outcomes=(),
        data_end=parse_date("2025-10-01"), partitions=tuple(partitions),
    )  # fmt: skip


def manifest(months: list[str], *, later: int) -> SimpleNamespace:
    """Waits of 5 minutes and 100 calls a month; from July 2025 on `later` times as much of both."""
    factor = [later if month >= "2025-07" else 1 for month in months]
    periods = Periods(
        measure="wait", journey="support", periods=tuple(months), rows=tuple(100 for _ in months),
        n=tuple(100 // one for one in factor), median=tuple(5.0 * one for one in factor),
        nonzero=tuple(100 // one for one in factor),
        quartiles=tuple((4.0 * one, 5.0 * one, 6.0 * one) for one in factor),
    )  # fmt: skip
    calls = zip(months, factor, strict=True)
    volumes = [Volume(month=month, journey="support", touchpoints=100 * one) for month, one in calls]
    return SimpleNamespace(
        data_start=parse_date("2023-12-10"), stock=SimpleNamespace(periods=(periods,)), volumes=tuple(volumes)
    )


@pytest.mark.parametrize(("until", "mature", "last"), [("2025-03-01", 9, 3), ("2025-09-01", 9, 5), ("", 4, 4)])
def test_a_batch_is_compared_with_cutoffs_before_it_that_its_model_has_learned_from(
    until: str, mature: int, last: int
) -> None:
    tags = {TRAINED_UNTIL: str(parse_date(until))} if until else {}
    found = reference_cutoffs(contract(mature), parse_date("2025-06-01"), tags)
    assert found == tuple(map(parse_date, DAYS[:last]))


@pytest.mark.parametrize("later", [1, 2])
def test_what_came_after_a_batch_changes_nothing_of_what_arrived_before_it(later: int) -> None:
    last, at = parse_date("2025-04-01"), parse_date("2025-07-01")
    known = [month for month in MONTHS if month < "2025-07"]
    found = arrived(manifest(MONTHS, later=later), last, at)
    assert (found.when, found.lag) == ("2025-06", 3)
    assert {(one.what, one.aspect) for one in found.series} == {
        ("support", "volume"), *(("wait in support", aspect) for aspect in ("size", "missing", "nonzero")),
    }  # fmt: skip
    assert found == arrived(manifest(known, later=later), last, at)


def test_the_month_of_a_batch_itself_is_seen() -> None:
    """So that the test before can fail: the same change within the month is there."""
    last, at = parse_date("2025-04-01"), parse_date("2025-08-01")
    quiet, loud = (arrived(manifest(MONTHS, later=later), last, at).series for later in (1, 2))
    assert [one.past for one in quiet] == [one.past for one in loud]
    assert all(a.new != b.new for a, b in zip(quiet, loud, strict=True) if a.aspect != "nonzero")
