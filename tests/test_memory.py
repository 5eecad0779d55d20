"""What is spent stays within the limit, and nothing becomes larger by one."""

import pytest

from features.memory import bytes_of, within
from features.study import Engine


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
    assert found.workers * 900 * 2**20 + 600 * 2**20 <= bytes_of(limit)


def test_with_hardly_any_memory_one_process_and_the_least_of_duckdb_remain() -> None:
    found = within(Engine(workers=4), "100MB")
    assert (found.memory_limit, found.workers) == ("128MiB", 1)
