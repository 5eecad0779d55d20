"""The meaning of a plan in plain Python: one row at a time, no arrays, nothing shared with the engine."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from features.folds import Fold, Plan

DAY = 86_400_000_000
_SAME: dict[str, tuple[str, ...]] = {
    "before": ("journey", "journey_key"),
    "thread": ("journey",),
    "earlier": (),
    "alike": ("cause",),
}
"""What a touchpoint shares with the one that lies before it."""
Row = dict[str, Any]


def features_of(
    plan: Plan, rows: Iterable[Row], customer: int, cutoff: int, levels: Mapping[Any, Iterable[Any]]
) -> Row:
    """Compute the features of one customer at one cutoff.

    Rows stand in the order of their table; what is missing is nan, which equals nothing.
    """
    known = [dict(row) for row in rows if row["customer_key"] == customer and _is_known(row, cutoff)]
    _cut_sessions(plan, known)
    _add_facts(plan, known)
    start = cutoff - plan.window_days * DAY
    window = [row | {"cutoff": cutoff} for row in known if start < row["occurred_at"] <= cutoff]
    found: Row = {}
    journeys = [_journey(plan, group, cutoff) for group in _groups(window, ("journey", "journey_key"))]
    for part, members, clock in (
        (plan.features, journeys, "ended"),
        (plan.touch_features, window, "occurred_at"),
    ):
        for by, folds in part.items():
            for level in ["customer"] if by == "customer" else levels[by]:
                chosen = [member for member in members if by == "customer" or _level(member, by) == level]
                name = level if isinstance(level, str) else "__".join(level)
                found |= {f"{f}__{name}": _fold(fold, chosen, clock, cutoff) for f, fold in folds.items()}
    return found


def _is_known(row: Row, cutoff: int) -> bool:
    replaced = row.get("replaced_at")
    return row["known_at"] <= cutoff and (replaced is None or cutoff < replaced)


def _cut_sessions(plan: Plan, known: list[Row]) -> None:
    """Number the parts of each journey: a long pause between known rows begins a new one where there is no id."""
    parts: dict[tuple[str, int], tuple[int, int]] = {}
    for row in known:
        key = row["journey"], row["journey_key"]
        part, latest = parts.get(key, (0, row["occurred_at"]))
        gap = plan.session_gap_days.get(row["journey"], math.inf) if row.get("is_session") else math.inf
        part += row["occurred_at"] - latest > gap * DAY
        parts[key] = part, row["occurred_at"]
        row["journey_key"] = row["journey_key"], part


class _Touch:
    """A touchpoint as a fact sees it; notes whether it asked for a predecessor that does not exist."""

    def __init__(self, rows: list[Row], at: int | None, asked: set[str]) -> None:
        self.__dict__.update(rows=rows, at=at, asked=asked)

    def __getattr__(self, name: str) -> Any:
        if name in _SAME:
            return _Touch(self.rows, _predecessor(self.rows, self.at, _SAME[name], self.asked), self.asked)
        if name == "is_first":
            return _predecessor(self.rows, self.at, _SAME["before"], set()) is None
        return math.nan if self.at is None else self.rows[self.at][name]


def _predecessor(rows: list[Row], at: int | None, same: tuple[str, ...], asked: set[str]) -> int | None:
    for other in range((at or 0) - 1, -1, -1):
        if all(rows[other][name] == rows[at or 0][name] for name in same):
            return other
    asked.add("absent")
    return None


def _add_facts(plan: Plan, rows: list[Row]) -> None:
    for name, fact in plan.facts.items():
        values = []
        for at in range(len(rows)):
            asked: set[str] = set()
            value = fact(_Touch(rows, at, asked))
            is_comparison = str(type(value)) in {"<class 'bool'>", "<class 'numpy.bool'>"}
            values.append(value if not asked else False if is_comparison else math.nan)
        for row, value in zip(rows, values, strict=True):
            row[name] = value


def _groups(rows: list[Row], by: tuple[str, ...]) -> list[list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row["journey"], row["journey_key"])):
        groups.setdefault(tuple(row[name] for name in by), []).append(row)
    return list(groups.values())


def _journey(plan: Plan, group: list[Row], cutoff: int) -> Row:
    journey: Row = dict(group[0])
    journey |= {name: _fold(fold, group, "occurred_at", cutoff) for name, fold in plan.journey.items()}
    return journey | {"began": group[0]["occurred_at"], "ended": group[-1]["occurred_at"]}


def _level(member: Row, by: str | tuple[str, ...]) -> Any:
    return member[by] if isinstance(by, str) else tuple(member[name] for name in by)


def _value(of: Any, member: Row) -> float:
    return float(member[of] if isinstance(of, str) else of(type("Row", (), member)))


def _fold(fold: Fold, members: list[Row], clock: str, cutoff: int) -> float:
    times = [member[clock] for member in members]
    if fold.op in {"count", "span", "since"}:
        newest = max(times, default=math.nan)
        span, since = (newest - min(times, default=math.nan)) / DAY, (cutoff - newest) / DAY
        return {"count": float(len(members)), "span": span, "since": since}[fold.op]
    if fold.op == "contrast":
        one, other = (_fold(Fold("mean", of), members, clock, cutoff) for of in (fold.of, fold.per))
        return one - other
    known = [(time, _value(fold.of, m)) for time, m in zip(times, members, strict=True)]
    known = [(time, value) for time, value in known if not math.isnan(value)]
    return _of_known(fold, known, lambda: _fold(Fold("total", fold.per), members, clock, cutoff), cutoff)


def _of_known(fold: Fold, known: list[tuple[int, float]], per: Callable[[], float], cutoff: int) -> float:
    values = [value for _, value in known]
    if fold.op == "total":
        return math.fsum(values)
    if fold.op == "distinct":
        return float(len(set(values)))
    if fold.op in {"decayed", "recent"}:
        weights = [2 ** -((cutoff - time) / DAY / fold.half_life_days) for time, _ in known]
        felt = math.fsum(weight * value for weight, value in zip(weights, values, strict=True))
        return felt if fold.op == "decayed" else felt / math.fsum(weights) if weights else math.nan
    if fold.op == "ratio":
        denominator = per()
        return math.fsum(values) / denominator if denominator else math.nan
    if not values:
        return math.nan
    newest = [value for time, value in known if time == max(time for time, _ in known)]
    return {"mean": math.fsum(values) / len(values), "low": min(values), "high": max(values), "last": newest[-1]}[
        fold.op
    ]
