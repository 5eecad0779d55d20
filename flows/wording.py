"""Numbers as people say them: signs, units, intervals and money, the same in every sentence, chart and table."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Sequence

__all__ = [
    "alike", "chance", "dash", "decimal", "label", "listed", "money", "money_short", "p_value", "percent", "percent_up",
    "plain", "points", "short_name", "signed", "span", "unbroken", "whole", "wrapped",
]  # fmt: skip

_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹"}

dash = "–"
"""Shown where a number does not exist."""


def whole(value: float) -> str:
    """Write a count: 12,345."""
    return dash if math.isnan(value) else f"{value:,.0f}"


def percent(share: float, digits: int = 0) -> str:
    """Write a share in [0, 1] as per cent: 12 %."""
    return dash if math.isnan(share) else _minus(f"{100 * share:.{digits}f}\u00a0%")


def percent_up(share: float) -> str:
    """Write what is at most so large in per cent, rounded up to a tenth: 0.2 % for 0.0011."""
    return dash if math.isnan(share) else percent(math.ceil(round(1_000 * share, 6)) / 1_000, 1)


def chance(p: float) -> str:
    """Write a probability in per cent, never as certain: > 99 %."""
    if p > 0.995:
        return ">\u00a099\u00a0%"
    return "<\u00a01\u00a0%" if p < 0.005 else percent(p)


def p_value(value: float) -> str:
    """Write a p-value: 0.03, < 0.001."""
    if math.isnan(value):
        return dash
    return "<\u00a00.001" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def points(change: float) -> str:
    """Write a change of a probability in percentage points, with its sign: −0.41."""
    return dash if math.isnan(change) else _signed(100 * change, 2)


def plain(value: float) -> str:
    """Write a number with three significant digits."""
    if math.isnan(value):
        return dash
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return _minus(f"{value:,.{min(digits, 4)}f}")


def signed(value: float) -> str:
    """Write a difference with its sign and two significant digits: +0.14, −12."""
    if math.isnan(value):
        return dash
    digits = max(0, 1 - math.floor(math.log10(abs(value)))) if value else 0
    return _signed(value, min(digits, 4))


def decimal(value: float, digits: int) -> str:
    """Write a number with a fixed number of decimals: −1.2."""
    return dash if math.isnan(value) else _minus(f"{value:,.{digits}f}")


def alike(value: float, lo: float, hi: float) -> Callable[[float], str]:
    """Choose the decimals for a value and its interval: as many as show two digits of the interval's width."""
    width = hi - lo if hi > lo else abs(value)
    digits = 1 - math.floor(math.log10(width)) if width > 0 and math.isfinite(width) else 2
    return lambda one: decimal(one, min(max(digits, 0), 5))


def money(amount: float, currency: str) -> str:
    """Write an amount for a sentence: €1.23 million, −€45,600, €0.42."""
    if math.isnan(amount):
        return dash
    size = abs(amount)
    if size >= 999_500:
        text = f"{size / 1e6:,.2f}\u00a0million"
    elif size >= 1_000:
        text = f"{_rounded(size, 3):,.0f}"
    else:
        text = f"{size:,.2f}"
    return _with_currency(text, amount, currency)


def money_short(amount: float, currency: str) -> str:
    """Write an amount for a table or a chart, with two significant digits or more: €1.2M, −€46k, €3.4k, €0.42."""
    if math.isnan(amount):
        return dash
    size = abs(amount)
    if size >= 999_500:
        text = f"{size / 1e6:,.1f}M"
    elif size >= 999.5:
        text = f"{size / 1e3:,.0f}k" if size >= 9_950 else f"{size / 1e3:,.1f}k"
    else:
        text = f"{size:,.0f}" if size >= 99.995 else f"{size:,.2f}"
    return _with_currency(text, amount, currency)


def span(lo: float, hi: float, write: Callable[[float], str]) -> str:
    """Write an interval: −0.62 to −0.20; a dash where there is none."""
    return dash if math.isnan(lo) or math.isnan(hi) else f"{write(lo)} to {write(hi)}"


def label(*parts: str | float | None) -> str:
    """Join the names of a place in the journey, leaving out what is empty: support · call."""
    import pandas as pd  # noqa: PLC0415 (a third of a second that who only writes numbers does without)

    texts = [str(part).replace("_", " ").strip() for part in parts if part is not None and not pd.isna(part)]
    return " · ".join(text for text in texts if text)


def listed(parts: Sequence[str]) -> str:
    """Write a list as people do.

    Examples
    --------
    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def unbroken(text: str) -> str:
    """Keep a minus and the symbol of a currency on one line: browsers break between the two.

    For HTML alone: elsewhere the character that forbids the break could show.
    """
    return re.sub(r"−(?=[€$£¥₹])", "−\u2060", text)


def short_name(driver: str) -> str:
    """Name a driver as people do: without its unit, and without "mean", which is what nobody doubts.

    Examples
    --------
    >>> short_name("wait, mean (min)"), short_name("wait, worst (min)")
    ('wait', 'wait, worst')
    """
    return re.sub(r" \([^)]*\)$", "", driver).removesuffix(", mean")


def wrapped(text: str, width: int = 40, lines: int = 2) -> str:
    """Break a label into at most a few lines, the last one cut with an ellipsis."""
    return "\n".join(textwrap.wrap(text, width, max_lines=lines, placeholder="…", break_long_words=True))


def _rounded(size: float, digits: int) -> float:
    """Round to significant digits."""
    return round(size, digits - 1 - math.floor(math.log10(size)))


def _signed(value: float, digits: int) -> str:
    """Write a sign in front of everything but zero."""
    text = f"{value:+.{digits}f}"
    return _minus(text) if float(text) else text.lstrip("+-")


def _minus(text: str) -> str:
    """Use a real minus sign, and none in front of zero."""
    if not text.startswith("-"):
        return text
    return "−" + text[1:] if any(digit in text for digit in "123456789") else text[1:]


def _with_currency(text: str, amount: float, currency: str) -> str:
    """Put symbol and sign in front."""
    sign = "−" if amount < 0 and any(digit in text for digit in "123456789") else ""
    symbol = _SYMBOLS.get(currency, f"{currency}\u00a0")
    return f"{sign}{symbol}{text}"
