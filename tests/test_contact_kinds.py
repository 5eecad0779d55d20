"""Touchpoints are counted by kind; what is rare is counted together."""

from __future__ import annotations

import pyarrow as pa

from models.contact_kinds import ContactKind, contact_kinds, kinds_of_rows


def table(*rows, touchpoint=True):
    names = ("journey", "touchpoint", "attempt")
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    if not touchpoint:
        del columns["touchpoint"]
    return pa.table(columns)


MANY = [("support", "call", 1)] * 300 + [("support", "call", 2)] * 250 + [("support", "fax", 1)] * 3


def test_frequent_kinds_are_counted_apart_and_rare_ones_together():
    found = contact_kinds(table(*MANY))
    assert found == (
        ContactKind("support", "call", False), ContactKind("support", "call", True),
        ContactKind("support", "other", False),
    )  # fmt: skip
    assert kinds_of_rows(found, table(("support", "fax", 1), ("support", "call", 3))).tolist() == [2, 1]


def test_what_was_never_seen_counts_as_other_or_not_at_all():
    found = contact_kinds(table(*MANY))
    assert kinds_of_rows(found, table(("support", "letter", 1), ("billing", "call", 1))).tolist() == [2, -1]


def test_without_touchpoints_a_journey_is_one_kind():
    found = contact_kinds(table(*MANY, touchpoint=False))
    assert found == (ContactKind("support", "", False), ContactKind("support", "", True))


def test_an_empty_table_has_no_kinds():
    empty = table(*MANY).slice(0, 0)
    assert contact_kinds(empty) == ()
    assert kinds_of_rows((ContactKind("a", "b", False),), empty).tolist() == []


def test_dictionaries_count_like_text():
    plain = table(*MANY)
    for name in ("journey", "touchpoint"):
        plain = plain.set_column(plain.column_names.index(name), name, plain[name].dictionary_encode())
    assert contact_kinds(plain) == contact_kinds(table(*MANY))
