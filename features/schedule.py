"""When a study is scored and its models are trained: readable words, and the cron lines they stand for.

A schedule describes operations. It changes no result, so it is no part of the study's fingerprint.
"""

import re
from typing import Annotated, Final
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict

from features.errors import closest

__all__ = ["Schedule", "cron_of", "in_words"]

_WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_CLOCK: Final = r"(?: at (?P<hour>\d{1,2}):(?P<minute>\d{2}))?"
_PATTERNS: Final = {
    "daily": re.compile(rf"daily{_CLOCK}", re.ASCII),
    "weekly": re.compile(rf"weekly(?: on (?P<days>[a-z]+(?:(?:, | and )[a-z]+)*))?{_CLOCK}", re.ASCII),
    "monthly": re.compile(rf"monthly(?: on (?:the )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?)?{_CLOCK}", re.ASCII),
}
_HOUR: Final = 5
"""Of the day, where none is given: when the night's loads are over."""

_FIELDS: Final = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    ("day of the week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)

_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""Days of the months; February at its longest."""


def cron_of(when: str) -> str | None:
    """Write words as a cron line.

    Parameters
    ----------
    when : str
        ``daily``, ``weekly on monday and thursday``, ``monthly on the 15th``, each with `` at HH:MM`` or without
        (05:00; weekly alone is Monday, monthly alone the 1st), ``cron`` and five fields, or ``never``.

    Returns
    -------
    str or None
        Minute, hour, day of the month, month, day of the week (0 is Sunday); None for ``never``.

    Raises
    ------
    ValueError
        What is written is no time to run. Days after the 28th are refused, as not every month has them.

    Examples
    --------
    >>> cron_of("weekly on monday at 05:00"), cron_of("monthly"), cron_of("never")
    ('0 5 * * 1', '0 5 1 * *', None)
    >>> cron_of('cron "30 4 * * mon-fri"')
    '30 4 * * mon-fri'
    """
    words = " ".join(when.lower().split())
    if words == "never":
        return None
    kind = words.partition(" ")[0]
    if kind == "cron":
        return _checked_cron(words.removeprefix("cron").strip(" '\""))
    found = _PATTERNS[kind].fullmatch(words) if kind in _PATTERNS else None
    if found is None:
        raise ValueError(_no_time(when, kind))
    hour = _HOUR if found["hour"] is None else int(found["hour"])
    minute = int(found["minute"] or 0)
    if hour > 23 or minute > 59:
        raise ValueError(f"'{when}': {found['hour']}:{found['minute']} is no time. Expected 00:00 to 23:59.")
    if kind == "daily":
        return f"{minute} {hour} * * *"
    if kind == "weekly":
        return f"{minute} {hour} * * {','.join(map(str, _weekdays(found['days'] or 'monday', when)))}"
    day = int(found["day"] or 1)
    if not 1 <= day <= 28:
        raise ValueError(f"'{when}': not every month has a day {day}. Expected a day from 1 to 28.")
    return f"{minute} {hour} {day} * *"


def in_words(when: str) -> str:
    """Say a time to run as it stands in a sentence.

    Examples
    --------
    >>> in_words("weekly on monday and thursday at 6:30")
    'every Monday and Thursday at 06:30'
    >>> in_words("monthly"), in_words("cron 0 5 * * 1"), in_words("never")
    ('every month on day 1 at 05:00', 'by cron 0 5 * * 1', 'only when asked to')
    """
    line = cron_of(when)
    if line is None:
        return "only when asked to"
    minute, hour, day, _, days = line.split()
    if when.lower().split()[0] == "cron":
        return f"by cron {line}"
    at = f"at {int(hour):02}:{int(minute):02}"
    if day != "*":
        return f"every month on day {day} {at}"
    if days == "*":
        return f"every day {at}"
    return f"every {' and '.join(_WEEKDAYS[int(one)].capitalize() for one in days.split(','))} {at}"


def _weekdays(days: str, when: str) -> list[int]:
    named = re.split(r", | and ", days)
    wrong = [name for name in named if name not in _WEEKDAYS]
    if wrong:
        raise ValueError(f"'{when}': '{wrong[0]}' is no day of the week.{closest(wrong[0], _WEEKDAYS)}")
    return sorted({_WEEKDAYS.index(name) for name in named})


def _no_time(when: str, kind: str) -> str:
    hint = "" if kind in _PATTERNS else closest(kind, [*_PATTERNS, "cron", "never"])
    return (
        f"'{when}' is not a time to run.{hint} Expected daily, weekly or monthly, such as 'daily at 05:00', "
        "'weekly on monday at 05:00', 'monthly on the 1st at 05:00'; or 'cron 0 5 * * 1'; or never."
    )


def _checked_cron(line: str) -> str:
    fields = line.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(
            f"'cron {line}' has {len(fields)} fields. Expected five: minute, hour, day of the month, month, day of the "
            "week, such as 'cron 0 5 * * 1' for Mondays at 05:00."
        )
    for value, (name, low, high, names) in zip(fields, _FIELDS, strict=True):
        if not all(_is_item(item, low, high, names) for item in value.split(",")):
            raise ValueError(
                f"'cron {line}': '{value}' is no {name}. Expected *, a number from {low} to {high}, a range, a list or "
                "a step, such as 1-5 or */2."
            )
    _require_date(line, fields[2], fields[3])
    return line


def _require_date(line: str, days: str, months: str) -> None:
    """Refuse a line whose day of the month is in none of its months.

    Also with a day of the week, which cron would take instead: Prefect finds no next time for such a line.
    """
    names = _FIELDS[3][3]
    named = {month for month in range(1, 13) for item in months.split(",") if month in _values(item, 1, 12, names)}
    first = min(day for item in days.split(",") for day in _values(item, 1, 31, ()))
    if first > max(_LENGTHS[month - 1] for month in named):
        raise ValueError(
            f"'cron {line}' never comes: month {months} has no day {first}. Expected a day that it has, such as "
            f"'cron 0 5 28 {months} *'."
        )


def _values(item: str, low: int, high: int, names: tuple[str, ...]) -> range:
    """Give the numbers that an item stands for."""
    span, _, step = item.partition("/")
    ends = [low, high] if span == "*" else _ends(span, low, names)
    last = high if len(ends) == 1 and step else ends[-1]
    return range(ends[0], last + 1, int(step or 1))


def _ends(span: str, low: int, names: tuple[str, ...]) -> list[int]:
    """Give the ends of a span as numbers, -1 for what is none."""
    return [low + names.index(end) if end in names else int(end) if _is_number(end) else -1 for end in span.split("-")]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _is_item(item: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    """Tell whether this is ``*``, ``a`` or ``a-b`` within the limits, with a step or without."""
    span, slash, step = item.partition("/")
    if slash and not (_is_number(step) and 1 <= int(step) <= high):
        return False
    if span == "*":
        return True
    ends = _ends(span, low, names)
    return len(ends) <= 2 and all(low <= end <= high for end in ends) and ends == sorted(ends)


def _when(value: str) -> str:
    cron_of(value)
    return value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError):
        hint = closest(value, available_timezones())
        raise ValueError(f"'{value}' is no time zone.{hint} Expected a name such as UTC or Europe/Berlin.") from None
    return value


When = Annotated[str, AfterValidator(_when)]


class Schedule(BaseModel):
    """When ``journeylift serve`` runs what.

    Parameters
    ----------
    score : str
        When features are built, customers scored and the batch looked at, see :func:`cron_of`.
    train : str
        When models are trained anew and compared with the champions.
    timezone : str
        Of the times above.

    Examples
    --------
    >>> Schedule(score="daily at 04:30").told("score")
    'every day at 04:30 (UTC)'
    >>> Schedule().told("train")
    'every month on day 1 at 03:00 (UTC; the study names no time)'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    score: When = "weekly on monday at 05:00"
    train: When = "monthly on the 1st at 03:00"
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"

    def told(self, what: str) -> str:
        """Say when ``score`` or ``train`` runs, and whether that was declared."""
        when = str(getattr(self, what))
        declared = "" if what in self.model_fields_set else "; the study names no time"
        return in_words(when) if cron_of(when) is None else f"{in_words(when)} ({self.timezone}{declared})"
