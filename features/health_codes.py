"""Codes among values: a 99 in a scale of 0 to 10, a 6 that says 'never used', a wait of 999 that says 'not known'.

What is no measurement moves every mean; left in, it is the strongest driver of all.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import duckdb
import numpy as np
from numpy.typing import NDArray

from features.manifest import Code
from features.sources import literal, quote
from features.study import Measure
from features.tables import REASON, measure_rules

__all__ = ["CODES", "USUAL_SCALES", "Counted", "Counts", "codes_in", "find_codes"]

Ints: TypeAlias = NDArray[np.int64]

CODES = (-9999, -999, -99, -9, -1, 77, 88, 98, 99, 777, 888, 998, 999, 7777, 8888, 9998, 9999, 99999, 999999)
"""Numbers that are written where nothing was measured, wherever they stand out."""

USUAL_SCALES = (
    (1, 5), (0, 10), (1, 10), (1, 7), (0, 100), (1, 100), (1, 3), (1, 4), (0, 4), (0, 1), (-2, 2), (-3, 3),
)  # fmt: skip
"""Scales on which people are asked to rate; among those that explain the values equally well the first one counts."""

_SMALL = 1_100  # whole numbers up to here are counted one by one
_FEWEST = 5  # rows: less than that is no habit of a system
_FEWEST_ANSWERS = 30
_FEWEST_BESIDE = 10
_FEWEST_TO_TOUCH = 100
_THIN = 0.01
_CLIFF = 100
_SPIKE = 10
_WINDOW = 0.1
_FAR = -99  # a -1 or -9 may be an ordinary value where others begin at 0
_WHOLE_SHARE = 0.99
_IS_CODE = np.isin(np.arange(-_SMALL, _SMALL + 1), CODES)


@dataclass(slots=True)
class Counts:
    """How often a measure has each value that may be a code, among rows that are used.

    Parameters
    ----------
    small : array of int
        Values that are whole numbers from -1,100 to 1,100, each with its number.
    large : dict of int to int
        Larger ones of ``CODES``.
    n : int
        All values.
    low, high : float
        Bounds of all values that are none of ``CODES``; infinite without any.

    Examples
    --------
    >>> counts = Counts()
    >>> counts.add(np.array([1.0, 2.5, 99.0, 99.0]))
    >>> counts.whole(), counts.high
    ({1: 1, 99: 2}, 2.5)
    """

    small: Ints = field(default_factory=lambda: np.zeros(2 * _SMALL + 1, np.int64))
    large: dict[int, int] = field(default_factory=dict)
    n: int = 0
    low: float = np.inf
    high: float = -np.inf

    def add(self, values: NDArray[np.float64]) -> None:
        """Count values, none of them missing."""
        self.n += len(values)
        is_small = (np.rint(values) == values) & (np.abs(values) <= _SMALL)
        found = values[is_small].astype(np.int64) + _SMALL
        self.small += np.bincount(found, minlength=len(self.small))
        is_code = np.zeros(len(values), bool)
        is_code[is_small] = _IS_CODE[found]
        if len(values) and np.abs(values).max() > _SMALL:
            for code in (code for code in CODES if abs(code) > _SMALL):
                is_code |= values == code
                self.large[code] = self.large.get(code, 0) + int(np.count_nonzero(values == code))
        others = values[~is_code]
        if len(others):
            self.low, self.high = min(self.low, float(others.min())), max(self.high, float(others.max()))

    def whole(self) -> dict[int, int]:
        """Give the numbers that occur, ascending, and in how many rows."""
        small = {int(place) - _SMALL: int(self.small[place]) for place in np.flatnonzero(self.small)}
        return dict(sorted((small | {code: rows for code, rows in self.large.items() if rows}).items()))


@dataclass(frozen=True, slots=True)
class Counted:
    """What is known of the values of a measure.

    Parameters
    ----------
    inside : dict of int to int
        Whole numbers up to 1,100 in size, and larger ones of ``CODES``, with the rows that are used.
    n : int
        All values in such rows.
    low, high : float
        Bounds of those that are none of ``CODES``.
    outside : dict of int to int
        Whole numbers in rows that are in quarantine because the measure is out of range.
    n_outside : int
        All such rows.
    beside : dict of int to (int, int)
        For each of ``CODES`` that stands out among whole numbers: values within 10 % of it that are none of ``CODES``,
        and the largest number of them that are equal.
    """

    inside: dict[int, int]
    n: int
    low: float
    high: float
    outside: dict[int, int]
    n_outside: int
    beside: dict[int, tuple[int, int]]


def codes_in(
    con: duckdb.DuckDBPyConnection,
    relation: str,
    measures: Sequence[Measure],
    counts: Mapping[str, Counts],
    reasons: Collection[str],
) -> tuple[Code, ...]:
    """Find the codes in all measures of a staged table.

    Parameters
    ----------
    con : duckdb.DuckDBPyConnection
        Holds the table.
    relation : str
        Its quoted name; rows without a reason for quarantine are used.
    measures : sequence of Measure
        Their columns have their names.
    counts : mapping of str to Counts
        Values of each in rows that are used.
    reasons : collection of str
        Reasons for quarantine that occur in the table.

    Returns
    -------
    tuple of Code
        By measure in their order, then by value, those in quarantine last.

    Notes
    -----
    A rating that no usual scale explains is tried with the scales and codes found in other ratings of the same unit:
    what is rare in one question of a survey is frequent in another. The table is only scanned for measures with rows
    out of range, and for codes that stand out among the whole numbers near them.
    """
    counted = {one.name: _counted(con, relation, one, counts[one.name], reasons) for one in measures}
    found = {one.name: find_codes(counted[one.name], one) for one in measures}
    unclear = [one for one in measures if one.is_rating and one.range is None and not found[one.name]]
    for measure in unclear:
        for other in measures:
            if other.is_rating and other.unit == measure.unit and other.range is None and not found[measure.name]:
                found[measure.name] = _likewise(counted[measure.name], found[other.name], measure)
    return tuple(code for measure in measures for code in found[measure.name])


def find_codes(counted: Counted, measure: Measure) -> tuple[Code, ...]:
    r"""Find the values of a measure that look like codes.

    Parameters
    ----------
    counted : Counted
        Its values.
    measure : Measure
        Kind and range decide which rule applies.

    Returns
    -------
    tuple of Code
        Ascending; those whose rows are in quarantine last.

    Notes
    -----
    *Out of range.* At most three values make up 90 % of what is out of range, each in at least 5 rows. In a share, 100
    is not taken for a code but for per cent.

    *Ratings* of whole numbers without a declared range, from 30 answers on: a usual scale is looked for that explains
    all values, being used to both of its ends, or fading out before them (the outermost value is rare, below 1 %, and
    not 100 times rarer than the next). If none does, one that leaves out at most three values is: those are codes, if
    they are a step away from the scale, in 5 rows; below zero while the scale is not; or right beside it, but in 10
    rows, 1 % of the answers, and a tenth of what the end of the scale has. So 0 and 6 beside 1 to 5 are found. A code
    that makes up another usual scale is not (0 in 1 to 10, 8 and 9 beside 1 to 7): only a declared ``range`` tells it.
    With a declared range, only what is a step away from the other values.

    *Any measure*: one of ``CODES`` in at least 5 rows that is ten times as
    frequent as any other value within 10 % of it, and ten times what that neighbourhood holds for each whole number.
    Negative ones only where all other values are not; amounts only beyond twice the largest other value, for 99 and 999
    are prices.

    False alarms: 2 in 60,000 simulated series from 30 to 100,000 values: ratings on usual scales (bell, J and U shapes,
    and arbitrary ones: both alarms), waits (exponential, lognormal; exact, whole or rounded to five), counts, gaps and
    prices. A rating on an unusual scale, such as 0 to 5 stars, is an alarm until it says so by its ``range``.
    """
    outside = _outside(counted, measure)
    whole = sum(counted.inside.values()) >= _WHOLE_SHARE * counted.n
    found = {code.value: code for code in _spikes(counted, measure)}
    if measure.is_rating and whole:
        found |= {code.value: code for code in _beyond_scale(counted, measure)}
    return (*(found[value] for value in sorted(found)), *outside)


def _counted(
    con: duckdb.DuckDBPyConnection, relation: str, measure: Measure, counts: Counts, reasons: Collection[str]
) -> Counted:
    """Add what stands in quarantine, and what stands beside suspicious codes."""
    column, inside = quote(measure.name), counts.whole()
    broken = [literal(rule.reason) for rule in measure_rules(measure) if rule.reason in reasons]
    rows: list[tuple[float, int]] = []
    if broken:
        chosen = f"{quote(REASON)} IN ({', '.join(broken)}) AND {column} IS NOT NULL AND NOT isinf({column})"
        rows = con.execute(f"SELECT {column}, count(*) FROM {relation} WHERE {chosen} GROUP BY 1 ORDER BY 1").fetchall()
    return Counted(
        inside=inside,
        n=counts.n,
        low=counts.low,
        high=counts.high,
        outside={int(value): n for value, n in rows if value == int(value)},
        n_outside=sum(n for _, n in rows),
        beside={code: _beside(con, relation, column, code) for code in CODES if _stands_out(inside, code)},
    )


def _stands_out(inside: Mapping[int, int], code: int) -> bool:
    """Whether a code is frequent among the whole numbers near it: only then it is worth a look at all values."""
    reach = int(_WINDOW * abs(code))
    near = (inside.get(other, 0) for other in range(code - reach, code + reach + 1) if other not in CODES)
    rows = inside.get(code, 0)
    return rows >= _FEWEST and (abs(code) > _SMALL or rows >= _SPIKE * max(near, default=0))


def _beside(con: duckdb.DuckDBPyConnection, relation: str, column: str, code: int) -> tuple[int, int]:
    ends = sorted((code * (1 - _WINDOW), code * (1 + _WINDOW)))
    codes = ", ".join(map(str, CODES))
    near = f"{column} BETWEEN {ends[0]} AND {ends[1]} AND {column} NOT IN ({codes}) AND {quote(REASON)} IS NULL"
    equal = f"SELECT count(*) AS n FROM {relation} WHERE {near} GROUP BY {column}"
    row = con.execute(f"SELECT coalesce(sum(n), 0), coalesce(max(n), 0) FROM ({equal})").fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _outside(counted: Counted, measure: Measure) -> tuple[Code, ...]:
    """Few values that make up nearly all that is out of range."""
    often = sorted(counted.outside.items(), key=lambda item: (-item[1], item[0]))[:3]
    often = [(value, rows) for value, rows in often if rows >= _FEWEST]
    if sum(rows for _, rows in often) < 0.9 * counted.n_outside or (measure.kind == "share" and (100 in dict(often))):
        return ()
    return tuple(_code(measure, counted, value, rows, is_outside=True) for value, rows in sorted(often))


def _beyond_scale(counted: Counted, measure: Measure) -> tuple[Code, ...]:
    """Whole numbers beyond the scale that explains the others."""
    if counted.n < _FEWEST_ANSWERS:
        return ()
    tried = [_codes_beyond(counted, scale, may_touch=measure.range is None) for scale in USUAL_SCALES]
    fits = [codes for codes in tried if codes is not None]
    return _beside_others(measure, counted, min(fits, key=len)) if fits else ()


def _likewise(counted: Counted, found: Sequence[Code], measure: Measure) -> tuple[Code, ...]:
    """Codes that were found in another rating, if nothing else lies beyond its scale and no usual scale explains it."""
    explained = any(_codes_beyond(counted, scale, may_touch=False) == [] for scale in USUAL_SCALES)
    codes = [value for value in counted.inside if found and not found[0].low <= value <= found[0].high]
    known = {code.value for code in found if not code.is_outside}
    often = all(counted.inside[value] >= _FEWEST for value in codes)
    whole = sum(counted.inside.values()) >= _WHOLE_SHARE * counted.n
    return _beside_others(measure, counted, codes) if whole and often and not explained and set(codes) <= known else ()


def _beside_others(measure: Measure, counted: Counted, codes: Sequence[int]) -> tuple[Code, ...]:
    others = [value for value in counted.inside if value not in codes]
    return tuple(
        Code(
            measure=measure.name,
            value=value,
            rows=counted.inside[value],
            is_outside=False,
            low=min(others),
            high=max(others),
        )
        for value in sorted(codes)
    )


def _codes_beyond(counted: Counted, scale: tuple[int, int], *, may_touch: bool) -> list[int] | None:
    """Give the values that a scale leaves out if they can be codes; None if it does not explain the others."""
    low, high = scale
    within = [value for value in sorted(counted.inside) if low <= value <= high]
    codes = [value for value in counted.inside if not low <= value <= high]
    if len(codes) > 3 or len(within) < min(3, high - low + 1):
        return None
    ends_well = _ends_well(counted, within, low) and _ends_well(counted, within[::-1], high)
    return codes if ends_well and all(_can_be_code(counted, value, scale, may_touch) for value in codes) else None


def _ends_well(counted: Counted, inwards: Sequence[int], end: int) -> bool:
    """Whether values reach an end of the scale, or fade out before it."""
    outermost, following = counted.inside[inwards[0]], counted.inside[inwards[1]]
    return inwards[0] == end or outermost <= 3 or (outermost <= _THIN * counted.n and outermost * _CLIFF >= following)


def _can_be_code(counted: Counted, value: int, scale: tuple[int, int], may_touch: bool) -> bool:  # noqa: FBT001
    low, high = scale
    rows, end, step = counted.inside[value], *((low, -1) if value < low else (high, 1))
    if end + step not in counted.inside or (value == end + step and value < 0 <= low):
        return rows >= _FEWEST
    needed = max(_FEWEST_BESIDE, _THIN * counted.n, counted.inside.get(end, 0) / 10)
    return may_touch and value == end + step and counted.n >= _FEWEST_TO_TOUCH and rows >= needed


def _spikes(counted: Counted, measure: Measure) -> tuple[Code, ...]:
    return tuple(
        _code(measure, counted, value, counted.inside[value], is_outside=False)
        for value, (near, equal) in counted.beside.items()
        if counted.inside[value] >= _SPIKE * max(0.5, equal, near / (2 * _WINDOW * abs(value) + 1))
        and _can_stand_out(counted, measure, value)
    )


def _can_stand_out(counted: Counted, measure: Measure, value: int) -> bool:
    if counted.low > counted.high:
        return False
    if value < 0:
        return 0 <= counted.low < counted.high and (value <= _FAR or value < counted.low - (counted.high - counted.low))
    return measure.kind != "amount" or value > 2 * counted.high


def _code(measure: Measure, counted: Counted, value: int, rows: int, *, is_outside: bool) -> Code:
    return Code(measure=measure.name, value=value, rows=rows, is_outside=is_outside, low=counted.low, high=counted.high)
