"""Compiled lookups against the plain way: row by row, tree by tree."""

import numpy as np
import pytest

from models.tree_lookup import _ROWS, _ROWS_WORTH_A_THREAD, Lookup, TreeTable, compiled

WIDTH = 9


def table(rng: np.random.Generator, splits: int) -> TreeTable:
    """Draw a tree's table; its splits use some of the columns, some twice."""
    split_column = rng.choice(np.array([1, 2, 4, 7]), size=splits).astype(np.int64)
    columns = np.unique(split_column)
    values = rng.normal(size=(len(columns), 2**splits))
    return TreeTable(split_column, rng.normal(size=splits), rng.random(splits) < 0.5, columns, values, 0.0)


def looked_up(tables: list[TreeTable], matrix: np.ndarray) -> np.ndarray:
    """Do it the plain way."""
    amounts = np.zeros(matrix.shape)
    for row, values in enumerate(matrix):
        for one in tables:
            code = 0
            for column, limit, left in zip(one.split_column, one.threshold, one.is_left_when_missing, strict=True):
                goes_left = left if np.isnan(values[column]) else values[column] <= limit
                code = 2 * code + int(goes_left)
            amounts[row, one.columns] += one.values[:, code]
    return amounts


def drawn(rows: int, seed: int = 3) -> tuple[list[TreeTable], np.ndarray]:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, WIDTH))
    matrix[rng.random(matrix.shape) < 0.3] = np.nan
    return [table(rng, splits) for splits in (7, 1, 0, 3, 5)], matrix


@pytest.mark.parametrize("rows", [0, 1, _ROWS, _ROWS + 1, 3 * _ROWS - 1])
def test_every_row_gets_what_the_plain_way_gives(rows):
    tables, matrix = drawn(rows)
    amounts = np.zeros(matrix.shape)
    Lookup.of(tables).add(matrix, amounts)
    np.testing.assert_array_equal(amounts, looked_up(tables, matrix))


def test_a_value_at_the_threshold_goes_left():
    one = TreeTable(
        np.array([0]), np.array([2.0]), np.array([False]), np.array([0]), np.array([[10.0, 20.0]]), mean=0.0
    )
    matrix = np.array([[2.0], [np.nextafter(2.0, 3.0)], [np.nan]])
    amounts = np.zeros((3, 1))
    Lookup.of([one]).add(matrix, amounts)
    assert amounts.ravel().tolist() == [20.0, 10.0, 10.0]


def test_amounts_are_added_to_what_is_there():
    tables, matrix = drawn(5)
    once, twice = np.zeros(matrix.shape), np.full(matrix.shape, 1.0)
    lookup = Lookup.of(tables)
    lookup.add(matrix, once)
    lookup.add(matrix, twice)
    np.testing.assert_array_equal(twice, 1.0 + once)


def test_threads_give_the_bytes_of_one(monkeypatch):
    tables, matrix = drawn(2 * _ROWS_WORTH_A_THREAD + 17)
    lookup = Lookup.of(tables)
    several, one = np.zeros(matrix.shape), np.zeros(matrix.shape)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    lookup.add(matrix, several)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    lookup.add(matrix, one)
    assert several.tobytes() == one.tobytes()


def test_trees_without_a_split_add_nothing():
    tables, matrix = [table(np.random.default_rng(0), 0)] * 2, np.ones((4, WIDTH))
    amounts = np.zeros(matrix.shape)
    Lookup.of(tables).add(matrix, amounts)
    assert not amounts.any()


def test_columns_in_fortran_order_give_the_same():
    tables, matrix = drawn(300)
    plain, turned = np.zeros(matrix.shape), np.zeros(matrix.shape)
    lookup = Lookup.of(tables)
    lookup.add(matrix, plain)
    lookup.add(np.asfortranarray(matrix), turned)
    np.testing.assert_array_equal(plain, turned)


def test_where_nothing_can_be_kept_it_iscompiled_anew(monkeypatch):
    def refuses(**given):
        if given.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr("models.tree_lookup.njit", refuses)
    assert compiled(len) is len
