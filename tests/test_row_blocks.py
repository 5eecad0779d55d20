"""Products by blocks against the plain ones."""

from __future__ import annotations

import numpy as np
import pytest

from models import row_blocks
from models.row_blocks import RowBlocks


@pytest.fixture(params=[1, 7, 1_000])
def size(request, monkeypatch):
    monkeypatch.setattr(row_blocks, "BLOCK", request.param)


@pytest.mark.parametrize("rows", [0, 1, 7, 50])
def test_blocks_do_what_the_whole_matrix_does(size, rows):
    rng = np.random.default_rng(1)
    X, weight, left, right = rng.normal(size=(rows, 4)), rng.random(rows), rng.normal(size=(3, rows)), np.ones((4, 2))
    found = RowBlocks.of(X)
    np.testing.assert_allclose(found.times(right), X @ right, atol=1e-12)
    np.testing.assert_allclose(found.times(right[:, 0]), X @ right[:, 0], atol=1e-12)
    np.testing.assert_allclose(found.summed(left), left @ X, atol=1e-12)
    np.testing.assert_allclose(found.summed(left[0]), left[0] @ X, atol=1e-12)
    group = np.arange(rows) % 3
    by_group = np.array([X[group == k].T @ weight[group == k] for k in range(3)])
    np.testing.assert_allclose(found.by_group(group, 3, weight), by_group, atol=1e-12)
    np.testing.assert_allclose(found.moments(weight), (X * weight[:, None]).T @ X, atol=1e-12)


def test_sums_of_rows_in_single_precision_are_taken_in_double(size):
    """In single precision 2^24 + 1 is 2^24."""
    X = np.array([[2.0**24], [1.0], [1.0]], np.float32)
    one = np.ones(3)
    assert RowBlocks.of(X).summed(one)[0] == 2**24 + 2
    assert RowBlocks.of(X).moments(one)[0, 0] == 2**48 + 2
    assert RowBlocks.of(X).times(np.array([1 / 3]))[1] == 1 / 3
