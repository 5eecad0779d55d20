"""Numbers as people say them."""

from __future__ import annotations

import math

import pytest

from flows.wording import (
    alike,
    chance,
    decimal,
    label,
    listed,
    money,
    money_short,
    p_value,
    percent,
    percent_up,
    points,
    span,
    unbroken,
    whole,
    wrapped,
)

NAN = math.nan


@pytest.mark.parametrize(
    ("amount", "long", "short"),
    [
        (1_234_567.0, "€1.23\u00a0million", "€1.2M"),
        (-45_612.0, "−€45,600", "−€46k"),
        (999_600.0, "€1.00\u00a0million", "€1.0M"),
        (1_234.0, "€1,230", "€1.2k"),
        (-9_949.0, "−€9,950", "−€9.9k"),
        (9_951.0, "€9,950", "€10k"),
        (999.6, "€999.60", "€1.0k"),
        (99.996, "€100.00", "€100"),
        (999.0, "€999.00", "€999"),
        (0.416, "€0.42", "€0.42"),
        (-0.001, "€0.00", "€0.00"),
        (0.0, "€0.00", "€0.00"),
        (NAN, "–", "–"),
    ],
)
def test_money_keeps_three_digits_a_real_minus_and_no_negative_zero(amount: float, long: str, short: str) -> None:
    assert money(amount, "EUR") == long
    assert money_short(amount, "EUR") == short


def test_a_currency_without_a_symbol_is_written_by_its_code() -> None:
    assert money(12.0, "CHF") == "CHF\u00a012.00"


@pytest.mark.parametrize(
    ("change", "text"), [(-0.0041, "−0.41"), (0.0041, "+0.41"), (0.0, "0.00"), (-0.00001, "0.00"), (NAN, "–")]
)
def test_points_carry_their_sign(change: float, text: str) -> None:
    assert points(change) == text


@pytest.mark.parametrize(("p", "text"), [(0.999, ">\u00a099\u00a0%"), (0.001, "<\u00a01\u00a0%"), (0.5, "50\u00a0%")])
def test_chances_are_never_certain(p: float, text: str) -> None:
    assert chance(p) == text


@pytest.mark.parametrize(("p", "text"), [(0.0004, "<\u00a00.001"), (0.0312, "0.031"), (0.55, "0.55"), (1.0, "1.00")])
def test_p_values_show_what_decides(p: float, text: str) -> None:
    assert p_value(p) == text


def test_a_value_and_its_interval_show_two_digits_of_the_width() -> None:
    write = alike(0.19078, 0.18781, 0.19379)
    assert span(0.18781, 0.19379, write) == "0.1878 to 0.1938"
    assert alike(53.9, 53.2, 54.6)(53.94) == "53.9"
    assert alike(812.0, 700.0, 920.0)(812.4) == "812"
    assert alike(1.0, NAN, NAN)(1.234) == "1.2"


def test_what_does_not_exist_is_a_dash() -> None:
    assert (whole(NAN), percent(NAN), decimal(NAN, 2), span(NAN, 1.0, points)) == ("–", "–", "–", "–")


def test_labels_leave_out_what_is_empty() -> None:
    assert label("support_desk", None, NAN, "", "call") == "support desk · call"


def test_long_labels_break_into_two_lines_and_end_in_an_ellipsis() -> None:
    assert wrapped("short") == "short"
    assert wrapped("word " * 30).count("\n") == 1
    assert wrapped("word " * 30).endswith("…")
    assert max(map(len, wrapped("x" * 200).split("\n"))) <= 40


def test_a_minus_stays_with_its_currency_and_an_amount_with_its_million() -> None:
    assert unbroken("−€45k to −$3, −0.2, 3 − €2") == "−\u2060€45k to −\u2060$3, −0.2, 3 − €2"
    assert " " not in money(-1_234_567.0, "CHF")


def test_a_list_ends_with_and() -> None:
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]


def test_what_is_at_most_so_large_is_never_rounded_down() -> None:
    assert [percent_up(share) for share in (0.0, 0.0001, 0.001, 0.0011)] == [
        "0.0\u00a0%",
        "0.1\u00a0%",
        "0.1\u00a0%",
        "0.2\u00a0%",
    ]
    assert percent_up(NAN) == "–"
