"""Rows in order, with little memory: DuckDB against Python's own order."""

from pathlib import Path

import pyarrow as pa
import pytest

from features import sorted_rows
from features.errors import StoreError
from features.sorted_rows import in_order_of
from features.study import Engine

SCHEMA = pa.schema(
    [("id", pa.string()), ("at", pa.timestamp("us", tz="UTC")), ("x", pa.float64()), ("why", pa.string())]
)


def tables(ids: list[str], each: int = 3) -> list[pa.Table]:
    whole = pa.table(
        {"id": ids, "at": list(range(len(ids))), "x": [float(len(one)) for one in ids], "why": [None] * len(ids)}
    ).cast(SCHEMA)
    return [whole.slice(start, each) for start in range(0, len(ids), each)]


def test_rows_come_in_the_order_of_code_points_with_their_types(tmp_path: Path) -> None:
    ids = ["b", "a", "Z", "ü", "10", "9", "", "a b", "\U0001f600", "\uffff"]
    found = pa.concat_tables(in_order_of("id", tables(ids), SCHEMA, tmp_path, Engine()))
    assert found["id"].to_pylist() == sorted(ids)
    assert found.schema == SCHEMA
    assert dict(zip(found["id"].to_pylist(), found["at"].cast(pa.int64()).to_pylist(), strict=True)) == {
        one: place for place, one in enumerate(ids)
    }
    assert list(tmp_path.iterdir()) == []


def test_pieces_of_any_length_give_the_same_tables(tmp_path: Path) -> None:
    ids = [f"{number * 7919 % 70_001:06d}" for number in range(70_001)]
    some, others = (
        list(in_order_of("id", tables(ids, each), SCHEMA, tmp_path, Engine(memory_limit="64MB")))
        for each in (9_000, 70_001)
    )
    assert [one.num_rows for one in some] == [65_536, 70_001 - 65_536]
    assert all(one.equals(other) for one, other in zip(some, others, strict=True))


def test_no_rows_have_no_order(tmp_path: Path) -> None:
    assert list(in_order_of("id", [], SCHEMA, tmp_path, Engine())) == []


def test_what_fails_while_rows_are_made_is_raised_as_it_is(tmp_path: Path) -> None:
    def made():
        yield tables(["a"])[0]
        raise StoreError("the panel is damaged")

    with pytest.raises(StoreError, match="the panel is damaged"):
        list(in_order_of("id", made(), SCHEMA, tmp_path, Engine()))


def test_what_is_the_same_throughout_is_kept_once_and_comes_back(tmp_path: Path) -> None:
    schema = SCHEMA.append(pa.field("version", pa.string())).append(pa.field("nothing", pa.string()))
    nothing = pa.nulls(3, pa.string())
    given = [
        one.append_column("version", pa.array(["7"] * 3)).append_column("nothing", nothing)
        for one in tables(list("fbdaec"))
    ]
    plain = pa.concat_tables(in_order_of("id", given, schema, tmp_path, Engine()))
    found = pa.concat_tables(in_order_of("id", given, schema, tmp_path, Engine(), same=["version", "nothing"]))
    assert found.equals(plain)
    assert found["version"].to_pylist() == ["7"] * 6


def test_a_column_that_is_not_the_same_throughout_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"column .x. holds 2\.0 beside 1\.0"):
        list(in_order_of("id", tables(["a", "b", "c", "dd"]), SCHEMA, tmp_path, Engine(), same=["x"]))


def test_more_memory_is_not_taken_for_more_rows(tmp_path: Path) -> None:
    held = []

    def made():
        yield tables(["b", "a"])[0]
        held.extend(path.name for path in tmp_path.iterdir())

    with pytest.MonkeyPatch.context() as patch:
        opened = sorted_rows.connected
        asked = []
        patch.setattr(sorted_rows, "connected", lambda store, engine: asked.append(engine) or opened(store, engine))
        for limit in ("8GB", "64MB"):
            list(in_order_of("id", made(), SCHEMA, tmp_path, Engine(memory_limit=limit, threads=1)))
    assert [one.memory_limit for one in asked] == ["256MiB", "61MiB"]
    assert [one.threads for one in asked] == [1, 1]
    assert held  # where it may spill
