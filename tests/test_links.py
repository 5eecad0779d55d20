"""What follows from a contact is learnt as it is: known slopes, lags, and errors that are honest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from features.snapshot import DAY
from models.adjustment import Exposure
from models.contact_kinds import ContactKind
from models.links import LinkRows, Links, fit_follow_ups, link_rows, links_of
from tests.studies import study_of

STUDY = study_of(
    """
journeys: [{name: billing, stage: use, leads_to: [support]}, {name: support, stage: use, leads_to: [complaint]},
  {name: complaint, stage: use}, {name: renewal, stage: renew}]
measures:
  - {name: error, unit: share, kind: share, direction: lower, journeys: [billing]}
  - {name: wait, unit: min, kind: duration, direction: lower, journeys: [support]}
  - {name: solved, unit: share, kind: share, direction: higher, journeys: [support]}
"""
)
KINDS = tuple(
    ContactKind(journey, "one", later)
    for journey in ("billing", "complaint", "renewal", "support")
    for later in (False, True)
)


@dataclass(frozen=True)
class Source:
    """What links need of a reference: whose it is, and its pieces."""

    exposure: Exposure
    knots: tuple[float, ...] = (0.0, 1.0)


ERROR, WAIT, SOLVED = (
    Source(Exposure(*names)) for names in (("billing", "error"), ("support", "wait"), ("support", "solved"))
)


def test_links_follow_the_journey_map():
    error, wait, solved = links_of(STUDY, (ERROR, WAIT, SOLVED), KINDS)
    later = {"billing": "billing / one / later", "support": "support / one / later"}
    behind = {f"{journey} / one / {when}" for journey in ("support", "complaint") for when in ("began", "later")}
    # All contacts of support may follow from a bill; of bills themselves only those that come later in an instance.
    usual = {("billing__error__usual", True), ("support__wait__usual", False), ("support__solved__usual", False)}
    assert set(error.targets) == {later["billing"], *behind, *(column for column, _ in usual)}
    assert set(error.usual) == usual
    assert set(wait.usual) == {("support__wait__usual", True), ("support__solved__usual", True)}
    assert wait.same == ("support__solved__0",)
    assert {k.column for k in wait.kinds} == {later["support"], "complaint / one / began", "complaint / one / later"}
    assert solved.same == ()


def contacts(customer, at, attempt=None):
    return pa.table({"customer_key": customer, "occurred_at": at, "attempt": attempt or [1] * len(at)})


def test_what_is_to_be_expected_of_those_that_follow_is_summed_later_ones_apart():
    all_of_them, later_ones = ("support__wait__usual", False), ("support__wait__usual", True)
    days = np.array([0.0, 2.0, 3.0, 9.0])
    touchpoints = contacts([1] * 4, (days * DAY).astype(np.int64), [1, 1, 2, 3])
    nan = np.nan
    columns = pa.table(
        {"billing__error__0": [0.5, nan, nan, nan], "support__wait__usual": [nan, 10.0, 4.0, 7.0]},
    )
    (rows,) = link_rows([Links(ERROR, (), (), (all_of_them, later_ones))], touchpoints, columns, 60 * DAY)
    assert rows.followed.tolist() == [[[14.0, 4.0], [7.0, 7.0], [0.0, 0.0]]]


def test_contacts_are_counted_by_when_they_follow():
    links = Links(ERROR, (), (ContactKind("support", "one", False),))
    days = np.array([0.0, 1.0, 10.0, 27.0, 29.0, 3.0])
    customer = np.array([1, 1, 1, 1, 1, 2])
    nan = np.nan
    touchpoints = contacts(customer, (days * DAY).astype(np.int64))
    columns = pa.table(
        {"billing__error__0": [0.5, nan, nan, nan, nan, nan], "support / one / began": [nan, 1.0, 1.0, 1.0, 1.0, 1.0]}
    )
    (rows,) = link_rows([links], touchpoints, columns, 60 * DAY)
    assert rows.customer.tolist() == [1]
    assert rows.deviation.tolist() == [[0.5]]
    assert rows.followed.tolist() == [[[1.0], [1.0], [1.0]]]


def test_contacts_whose_consequences_are_not_yet_seen_are_left_out():
    links = Links(ERROR, (), (ContactKind("support", "one", False),))
    touchpoints = contacts([1, 1], [0, 10 * DAY])
    columns = pa.table({"billing__error__0": [0.5, 0.5], "support / one / began": [np.nan, np.nan]})
    (rows,) = link_rows([links], touchpoints, columns, 28 * DAY)
    assert len(rows.customer) == 1


def made(rng, n=4_000, slope=0.4, follow=0.3):
    """Contacts with a later measure at the same contact, and others that follow in the second week."""
    links = Links(WAIT, ("support__solved__0",), (ContactKind("complaint", "one", False),))
    customer = np.sort(rng.integers(0, n // 4, n))
    deviation = rng.normal(size=(n, 1))
    same = -slope * deviation + rng.normal(size=(n, 1))
    same[::7] = 0.0
    counts = np.zeros((n, 3, 1), np.float32)
    counts[:, 1, 0] = rng.random(n) < np.clip(0.4 + follow / 10 * deviation[:, 0], 0, 1)
    return links, LinkRows(customer, deviation, same, counts)


def test_slopes_are_those_of_least_squares():
    links, rows = made(np.random.default_rng(1))
    found = fit_follow_ups(links, [rows])
    x = rows.deviation[:, 0]
    # Where the later measure is not there, nothing moves: six sevenths of 0.4.
    assert found.slopes[0, 0, 0] == pytest.approx(np.polyfit(x, rows.same[:, 0], 1)[0])
    assert found.slopes[0, 0, 0] == pytest.approx(-0.4 * 6 / 7, abs=0.05)
    assert found.slopes[2, 0, 1] == pytest.approx(np.polyfit(x, rows.followed[:, 1, 0], 1)[0])
    assert not found.slopes[[1, 3], :, 1].any()
    assert not found.slopes[0, :, 1].any()
    assert not found.slopes[1:, :, 0].any()


def test_buckets_and_the_order_of_rows_do_not_matter():
    links, rows = made(np.random.default_rng(2))
    order = np.random.default_rng(3).permutation(len(rows.customer))
    mixed = LinkRows(*(getattr(rows, name)[order] for name in LinkRows.__slots__))
    halves = [
        LinkRows(*(getattr(mixed, name)[part] for name in LinkRows.__slots__))
        for part in (slice(0, 1_000), slice(1_000, None))
    ]
    assert fit_follow_ups(links, halves).slopes == pytest.approx(fit_follow_ups(links, [rows]).slopes, abs=1e-12)


def test_influence_gives_the_standard_error_that_repetitions_have():
    weights = np.zeros((1, 4, 1, 2))
    weights[0, 0, 0, 0], weights[0, 2, 0, 1] = 1.0, 2.0
    values, errors = [], []
    for seed in range(200):
        links, rows = made(np.random.default_rng(seed), n=600)
        found = fit_follow_ups(links, [rows])
        values.append(float((weights[0] * found.slopes).sum()))
        errors.append(float(np.sqrt((found.influence(weights)[1] ** 2).sum())))
    # The standard deviation of 200 values is known within 5 %.
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)
    assert np.mean(values) == pytest.approx(-0.4 * 6 / 7 + 2 * 0.03, abs=4 * np.std(values) / np.sqrt(200))


def test_where_a_later_measure_is_not_there_nothing_moves():
    links = Links(WAIT, ("support__solved__0",), ())
    touchpoints = contacts([1, 2], [0, DAY])
    columns = pa.table({"support__wait__0": [0.5, -0.5], "support__solved__0": [0.25, np.nan]})
    (rows,) = link_rows([links], touchpoints, columns, 60 * DAY)
    assert rows.same.tolist() == [[0.25], [0.0]]


def test_without_contacts_there_are_no_slopes():
    links, rows = made(np.random.default_rng(5))
    none = LinkRows(*(getattr(rows, name)[:0] for name in LinkRows.__slots__))
    found = fit_follow_ups(links, [none])
    assert not found.slopes.any()
    assert found.influence(np.ones((1, *found.slopes.shape)))[1].shape == (0, 1)
