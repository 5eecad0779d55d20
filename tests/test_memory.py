"""What is spent stays within the limit, and nothing becomes larger by one."""

import re

import pytest

from features.errors import StudyError
from features.memory import bytes_of, scoring_threads, within
from features.study import Engine, parse_study


@pytest.mark.parametrize(
    ("text", "size"),
    [("1B", 1), ("2KB", 2000), ("2KiB", 2048), ("1.5 GB", 1_500_000_000), ("2 GiB", 2**31), ("1TiB", 2**40)],
)
def test_amounts_of_memory_are_read_as_duckdb_reads_them(text: str, size: int) -> None:
    assert bytes_of(text) == size


def test_without_a_limit_nothing_changes() -> None:
    engine = Engine(memory_limit="3GB", workers=5)
    assert within(engine, None) == engine


def test_a_large_limit_raises_nothing() -> None:
    engine = Engine(memory_limit="3GB", workers=2, threads=1)
    found = within(engine, "1TB")
    assert (bytes_of(found.memory_limit) // 2**20, found.workers, found.threads) == (3_000_000_000 // 2**20, 2, 1)


@pytest.mark.parametrize("limit", ["2 GiB", "3GB", "8GiB", "64GiB"])
def test_duckdb_and_processes_fit_into_the_limit(limit: str) -> None:
    found = within(Engine(memory_limit="100GB", workers=256), limit)
    assert bytes_of(found.memory_limit) < bytes_of(limit) / 2
    assert found.workers * 1_300 * 2**20 + 600 * 2**20 <= bytes_of(limit)


def test_with_hardly_any_memory_one_process_and_the_least_of_duckdb_remain() -> None:
    found = within(Engine(workers=4), "100MB")
    assert (found.memory_limit, found.workers) == ("128MiB", 1)


def test_threads_that_score_are_those_of_the_machine_of_the_study_and_of_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 128)
    cells = 8_192 * 150
    assert scoring_threads(Engine(), None, cells) == scoring_threads(Engine(), "1TB", cells) == 64
    assert scoring_threads(Engine(threads=3), None, cells) == 3
    assert scoring_threads(Engine(), "700MB", cells) == 1
    for limit in ("1 GiB", "2 GiB", "3GB"):
        found = scoring_threads(Engine(), limit, cells)
        held = 600 * 2**20 + bytes_of(within(Engine(), limit).memory_limit) + found * 64 * cells
        assert 1 <= found < 64
        assert held <= bytes_of(limit) < held + 64 * cells


STUDY = """
study: tiny
sources: {c: c.parquet, t: t.parquet}
customers: {from: c}
touchpoints: {from: t}
journeys: [{name: billing, stage: pay}]
churn: {inactive_days: 60}
revenue: {from: c}
"""


def test_a_study_keeps_layout_and_panel_within_the_limit_of_scoring() -> None:
    free = parse_study(STUDY, "study.yaml")
    limited = parse_study(f"{STUDY}scoring: {{memory_limit: 2 GiB, engine: 'spark://host:7077'}}\n", "study.yaml")
    assert free.resources == free.engine
    assert limited.resources == within(limited.engine, "2 GiB") != limited.engine
    assert limited.fingerprint() == free.fingerprint()
    assert limited.panel_fingerprint() == free.panel_fingerprint()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("memory_limit: plenty", "'plenty' is not an amount of memory. Expected a number and a unit, such as 4GB"),
        ("memory_limit: 2", "2 does not fit: expected text"),
        ("engine: 'spark:host'", "'spark:host' is not an address of Spark. Expected spark://host:7077, local"),
        ("engine: 'local[0.5]'", "is not an address of Spark"),
    ],
)
def test_a_limit_or_an_engine_that_is_none_is_refused(key: str, message: str) -> None:
    with pytest.raises(StudyError, match=re.escape(message)):
        parse_study(f"{STUDY}scoring: {{{key}}}\n", "study.yaml")


@pytest.mark.parametrize(
    "engine", ["local", "local[2]", "local[*]", "spark://a-b.c:7077", "yarn", "k8s://https://h:6443"]
)
def test_addresses_of_spark_are_known(engine: str) -> None:
    assert parse_study(f"{STUDY}scoring: {{engine: '{engine}'}}\n", "study.yaml").scoring.engine == engine
