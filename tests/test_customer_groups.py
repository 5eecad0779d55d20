"""Hashed groups of customers: published values, spread, and independence of the order of rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from features.customer_groups import CustomerGroups, hashed


def plain(text: str) -> int:
    """FNV-1a and the finaliser of SplitMix64 on Python's integers."""
    found = 0xCBF29CE484222325
    for byte in text.encode():
        found = (found ^ byte) * 0x100000001B3 % 2**64
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        found = (found ^ found >> shift) * factor % 2**64
    return found


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_hashes_are_those_of_plain_integers(kind: pa.DataType) -> None:
    names = ["", "a", "foobar", "Zürich", "kunde-0815" * 9]
    assert hashed(pa.array(names).cast(kind)).tolist() == [plain(name) for name in names]
    assert hashed(pa.array(["x", *names]).cast(kind)[1:]).tolist() == [plain(name) for name in names]


def test_the_first_output_of_splitmix64_is_the_published_one() -> None:
    # seed 0: the state is the golden gamma, the first output 0xE220A8397B1DCDAF
    gamma = np.array([0x9E3779B97F4A7C15], dtype=np.uint64).view(np.int64)
    assert hashed(gamma).tolist() == [0xE220A8397B1DCDAF]


@pytest.mark.parametrize("customers", [pa.array(range(64_000)), pa.array([f"c{k:06d}" for k in range(64_000)])])
def test_groups_are_about_equally_large(customers: pa.Array) -> None:
    groups = CustomerGroups.of(customers, 64)
    sizes = np.bincount(groups.numbers(customers), minlength=64)
    # chi-squared with 63 degrees of freedom: above 110 once in five thousand
    assert ((sizes - 1000) ** 2 / 1000).sum() < 110


def test_few_customers_get_a_group_each_and_many_are_hashed() -> None:
    few = CustomerGroups.of(pa.array([30, 10, 20, 10]), 3)
    assert few.numbers(pa.array([30, 10, 20, 10])).tolist() == [2, 0, 1, 0]
    many = CustomerGroups.of(pa.array([30, 10, 20, 10]), 2)
    assert (many.count, many.known) == (2, None)
