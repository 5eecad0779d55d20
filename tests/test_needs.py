"""A circle of needs is found wherever there is one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.needs import circle

names = st.sampled_from("abcdef")


@given(st.dictionaries(names, st.lists(names, max_size=3)))
def test_a_circle_is_found_exactly_when_no_order_exists(needs: dict[str, list[str]]) -> None:
    waiting, begun = set("abcdef"), set()
    while ready := {name for name in waiting if set(needs.get(name, ())) <= begun}:
        begun |= ready
        waiting -= ready
    found = circle(needs)
    assert bool(found) == bool(waiting)
    if found:
        assert found[0] == found[-1]
        assert all(other in needs[one] for one, other in pairwise(found))
        assert len(set(found)) == len(found) - 1


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ({}, ()),
        ({"a": ["a"]}, ("a", "a")),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"]}, ()),
        ({"c": ["b"], "b": ["c"], "a": ["c"]}, ("c", "b", "c")),
    ],
)
def test_circles_by_hand(needs: dict[str, list[str]], expected: tuple[str, ...]) -> None:
    assert circle(needs) == expected
