"""The catalogue in plain Python: what every feature means, one touchpoint at a time, slowly and obviously.

Written from the words (docs/explanation/panel.md, docs/explanation/point-in-time.md, the meanings of the features) and
held to them by tests/feature_specs.py; shares nothing with the definitions, the folds or the engine. Numbers that are
missing are None in rows and nan in features.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from features.study import Journey, Measure, Study

DAY = 86_400_000_000
RECENT = 30 * DAY
HALF_LIFE = 30 * DAY
HALF = 0.5
NAN = math.nan

Row = dict[str, Any]
Case = list[Row]
"""The touchpoints of one journey that lie in the window."""


def catalogue_features(
    study: Study, rows: Iterable[Row], cutoff: int, places: Iterable[tuple[str, str]] = ()
) -> dict[str, float]:
    """Compute every feature that comes from touchpoints.

    Parameters
    ----------
    study : Study
        What the columns mean.
    rows : iterable of dict
        The touchpoints of one customer in the order of their table.
    cutoff : int
        Microseconds.
    places : iterable of (journey, touchpoint)
        The touchpoints that have features of their own.
    """
    usable = [dict(row) for row in rows if _is_usable(row, cutoff)]
    _name_cases(study, usable)
    facts = [_facts(study, usable, at) for at in range(len(usable))]
    seen = [row | fact for row, fact in zip(usable, facts, strict=True)]
    window = [row for row in seen if row["occurred_at"] > cutoff - study.snapshot.window_days * DAY]
    found: dict[str, float] = {}
    for journey in study.journeys:
        mine = [row for row in window if row["journey"] == journey.name]
        named = dict(_of_journey(study, journey, mine, cutoff))
        found |= {f"{journey.name}__{name}": value for name, value in named.items()}
    for place in places:
        mine = [row for row in window if (row["journey"], row["touchpoint"]) == place]
        found |= {f"{place[0]}__{place[1]}__{name}": value for name, value in _of_touchpoint(study, mine)}
    return found | {f"customer__{name}": value for name, value in _of_customer(study, window, cutoff)}


def _is_usable(row: Row, cutoff: int) -> bool:
    replaced = row.get("replaced_at")
    return row["known_at"] <= cutoff and (replaced is None or cutoff < replaced) and row["occurred_at"] <= cutoff


def _name_cases(study: Study, usable: list[Row]) -> None:
    """Say of every row to which journey it belongs: by its id, or by the pauses between usable rows without one."""
    sessions: dict[str, tuple[int, int]] = {}
    for row in usable:
        if row.get("is_session"):
            journey, at = row["journey"], row["occurred_at"]
            number, latest = sessions.get(journey, (0, at))
            number += at - latest > study.session_gap_days(journey) * DAY
            sessions[journey] = number, at
            row["case"] = journey, "session", number
        else:
            row["case"] = row["journey"], "id", row["journey_key"]


def _previous(usable: list[Row], at: int, is_meant: Callable[[Row], bool]) -> Row | None:
    for row in reversed(usable[:at]):
        if is_meant(row):
            return row
    return None


def _facts(study: Study, usable: list[Row], at: int) -> Row:
    row = usable[at]
    near = (study.touchpoints.repeat_days if study.touchpoints else 0) * DAY
    before = _previous(usable, at, lambda other: other["case"] == row["case"])
    thread = _previous(usable, at, lambda other: other["journey"] == row["journey"])
    earlier = usable[at - 1] if at else None
    alike = _previous(usable, at, lambda other: row.get("cause") is not None and other["cause"] == row["cause"])

    def is_near(other: Row | None) -> bool:
        return other is not None and row["occurred_at"] - other["occurred_at"] <= near

    found: Row = {
        "pause_days": NAN if before is None else (row["occurred_at"] - before["occurred_at"]) / DAY,
        "came_back": before is None and is_near(thread),
        "interleaved": before is not None and earlier is not before,
        "switched": before is not None and before.get("channel") != row.get("channel"),
        "handed_on": before is not None and _differ(before.get("department"), row.get("department")),
        "asked_again": alike is not None and alike["case"] != row["case"] and is_near(alike),
        "trouble": _trouble(study, row),
    }
    for source in study.journeys:
        is_led = row["journey"] in source.leads_to
        contacts = [other for other in usable[:at] if other["journey"] == source.name]
        found[f"after {source.name}"] = before is None and is_led and any(map(is_near, contacts))
    return found


def _differ(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and one != other


def _measures(study: Study) -> list[Measure]:
    return [measure for measure in study.measures if measure.known == "before"]


def _tasks(study: Study) -> list[Measure]:
    return [measure for measure in _measures(study) if measure.task]


def _is_bad(measure: Measure, value: float) -> bool | None:
    """Say whether a value is bad by itself: a task not done, a failure, a promise broken. None: nothing tells."""
    if measure.task:
        return value < HALF
    if measure.kind == "share" and measure.direction == "lower":
        return value >= HALF
    if measure.kind == "gap":
        return value > 0 if measure.direction == "lower" else value < 0
    return None


def _trouble(study: Study, row: Row) -> float:
    signs = [_is_bad(measure, row[measure.name]) for measure in _measures(study) if row[measure.name] is not None]
    told = [sign for sign in signs if sign is not None]
    return float(any(told)) if told else NAN


def _of_journey(study: Study, journey: Journey, mine: list[Row], cutoff: int) -> Iterator[tuple[str, float]]:
    cases = _cases(mine)
    yield from _of_contacts(cases, mine, cutoff)
    for source in study.journeys:
        if journey.name in source.leads_to:
            yield f"after_{source.name}_count__total", _sum(row[f"after {source.name}"] for row in mine)
    going_on = [case for case in cases if _is_open(study, journey, case, cutoff)]
    yield "open_count__total", float(len(going_on))
    yield "open_days__worst", _max((cutoff - case[0]["occurred_at"]) / DAY for case in going_on)
    yield "trouble_share__mean", _mean(row["trouble"] for row in mine)
    yield "trouble_count__decayed", _forgetting_sum(mine, lambda row: row["trouble"], cutoff)
    for measure in _measures(study):
        yield from _of_measure(study, measure, mine, cutoff)
        yield from _of_endings(study, measure, cases)


def _cases(mine: list[Row]) -> list[Case]:
    cases: dict[object, Case] = {}
    for row in mine:
        cases.setdefault(row["case"], []).append(row)
    return list(cases.values())


def _of_contacts(cases: list[Case], mine: list[Row], cutoff: int) -> Iterator[tuple[str, float]]:
    sizes = [len(case) for case in cases]
    spans = [(case[-1]["occurred_at"] - case[0]["occurred_at"]) / DAY for case in cases]
    switches = [_sum(row["switched"] for row in case) for case in cases]
    handoffs = [_sum(row["handed_on"] for row in case) for case in cases]
    yield "journeys_count__total", float(len(cases))
    yield "touchpoints_count__total", float(len(mine))
    yield "touchpoints_count__mean", _mean(sizes)
    yield "touchpoints_count__decayed", _forgetting_sum(mine, lambda _: 1.0, cutoff)
    yield "repeats_count__total", _sum(row["came_back"] for row in mine)
    yield "duration_days__mean", _mean(spans)
    yield "last_contact_days__since", _min((cutoff - row["occurred_at"]) / DAY for row in mine)
    yield "pause_days__mean", _mean(row["pause_days"] for row in mine)
    yield "pause_days__worst", _max(row["pause_days"] for row in mine)
    yield "interleaved_count__total", _sum(row["interleaved"] for row in mine)
    yield "effort_steps__mean", _mean(n - 1 + s + h for n, s, h in zip(sizes, switches, handoffs, strict=True))
    yield "switches_count__mean", _mean(switches)
    yield "handoffs_count__mean", _mean(handoffs)
    yield "asked_again_count__total", _sum(row["asked_again"] for row in mine)


def _is_open(study: Study, journey: Journey, case: Case, cutoff: int) -> bool:
    """Say whether a journey goes on: no touchpoint finished it, else its task is not done, else its pause runs."""
    if journey.ends_with:
        return not any(row["touchpoint"] in journey.ends_with for row in case)
    ends = [end for task in _tasks(study) if (end := _end(case, task.name)) is not None]
    if ends:
        return ends[-1] < HALF
    newest = case[-1]
    return bool(newest.get("is_session")) and (
        cutoff - newest["occurred_at"] <= study.session_gap_days(journey.name) * DAY
    )


def _end(case: Case, name: str) -> float | None:
    """Give the latest known value of a measure in a journey."""
    known = [row[name] for row in case if row[name] is not None]
    return known[-1] if known else None


def _of_measure(study: Study, measure: Measure, mine: list[Row], cutoff: int) -> Iterator[tuple[str, float]]:
    column = f"{measure.name}_{_suffix(measure.unit)}"
    given = [row for row in mine if row[measure.name] is not None]
    lately = [row[measure.name] for row in given if _is_recent(row, cutoff)]
    earlier = [row[measure.name] for row in given if not _is_recent(row, cutoff)]
    has_past = study.snapshot.window_days * DAY > RECENT
    worst = _max if measure.direction == "lower" else _min
    values = [row[measure.name] for row in given]
    yield f"{column}__mean", _mean(values)
    yield f"{column}__last", values[-1] if values else NAN
    if has_past:
        yield f"{column}__trend", _mean(lately) - _mean(earlier)
    if measure.missing == "not_answered":
        yield f"{measure.name}_answered_share__mean", len(given) / len(mine) if mine else NAN
    if not measure.is_rating:
        yield f"{column}__worst", worst(values)
        yield f"{column}__decayed", _forgetting_mean(given, lambda row: row[measure.name], cutoff)
        if has_past:
            yield f"{column}__recent_worst", worst(lately)
        if measure.direction == "lower":
            yield f"{column}__burden", _forgetting_sum(given, lambda row: row[measure.name], cutoff)
        elif measure.kind == "share":
            yield f"{column}__burden", _forgetting_sum(given, lambda row: 1 - row[measure.name], cutoff)
    yield from _of_promise(measure, given)


def _of_promise(measure: Measure, given: list[Row]) -> Iterator[tuple[str, float]]:
    sign = 1 if measure.direction == "lower" else -1
    if measure.kind == "gap":
        yield f"{measure.name}_broken_share__mean", _mean(sign * row[measure.name] > 0 for row in given)
    if measure.promise is not None:
        promised = [row for row in given if row[measure.promise] is not None]
        gaps = [sign * (row[measure.name] - row[measure.promise]) for row in promised]
        for statistic, value in (("mean", _mean(gaps)), ("worst", _max(gaps))):
            yield f"{measure.name}_promise_gap_{_suffix(measure.unit)}__{statistic}", value


def _of_endings(study: Study, measure: Measure, cases: list[Case]) -> Iterator[tuple[str, float]]:
    """Describe how journeys ended, with respect to a share, a task or a rating."""
    name = measure.name
    ends = [(case, end) for case in cases if (end := _end(case, name)) is not None]
    if measure.kind == "share":
        yield f"{name}_{_suffix(measure.unit)}__final", _mean(end for _, end in ends)
    if measure.task:
        failed = [end for case, end in ends if any(row[name] is not None and row[name] < HALF for row in case)]
        yield f"{name}_recovered_share__mean", _mean(failed)
        yield f"{name}_success_share__mean", _mean(_success(case, name) for case, _ in ends)
    if measure.is_rating and measure.range is not None:
        for task in _tasks(study):
            done = [end for case, end in ends if (_end(case, task.name) or 0) >= HALF]
            bad = [_is_badly_rated(measure, end) for end in done]
            yield f"{name}_bad_though_{task.name}_share__mean", _mean(bad)


def _success(case: Case, name: str) -> float:
    """Halve success with each touchpoint that fails; one that succeeds in part takes away in part."""
    return math.prod((1 + row[name]) / 2 for row in case if row[name] is not None)


def _is_badly_rated(rating: Measure, value: float) -> bool:
    """Say whether an answer lies in the worst third of what is possible."""
    low, high = rating.bounds
    third = (high - low) / 3
    return value <= low + third if rating.direction == "higher" else value >= high - third


def _of_touchpoint(study: Study, mine: list[Row]) -> Iterator[tuple[str, float]]:
    yield "touchpoints_count__total", float(len(mine))
    for measure in _measures(study):
        if not measure.is_rating:
            values = [row[measure.name] for row in mine if row[measure.name] is not None]
            yield f"{measure.name}_{_suffix(measure.unit)}__mean", _mean(values)


def _of_customer(study: Study, window: list[Row], cutoff: int) -> Iterator[tuple[str, float]]:
    lately = [row for row in window if _is_recent(row, cutoff)]
    yield "contacts_count__total", float(len(window))
    if study.snapshot.window_days * DAY > RECENT:
        yield "contacts_count__recent", float(len(lately))
        yield "contacts_share__recent", len(lately) / len(window) if window else NAN
    yield "last_contact_days__since", _min((cutoff - row["occurred_at"]) / DAY for row in window)
    stages = list(dict.fromkeys(journey.stage for journey in study.journeys))
    stage = {journey.name: 1.0 + stages.index(journey.stage) for journey in study.journeys}
    yield "stage_number__last", stage[window[-1]["journey"]] if window else NAN
    yield "journeys_count__distinct", float(len({row["journey"] for row in window}))
    yield "interleaved_count__total", _sum(row["interleaved"] for row in window)
    measured = [m for row in window for m in _measures(study) if not m.is_rating and row[m.name] is not None]
    own = [measure for measure in measured if measure.control == "own"]
    yield "controlled_share__mean", len(own) / len(measured) if measured else NAN
    yield "troubled_journeys_count__distinct", float(len({row["journey"] for row in window if row["trouble"] == 1}))
    yield "trouble_count__decayed", _forgetting_sum(window, lambda row: row["trouble"], cutoff)
    for task in _tasks(study):
        tried = [case for case in _cases(window) if _end(case, task.name) is not None]
        yield f"{task.name}_success_share__worst", _min(_success(case, task.name) for case in tried)


def _is_recent(row: Row, cutoff: int) -> bool:
    return bool(cutoff - RECENT < row["occurred_at"])


def _suffix(unit: str) -> str:
    """Write a unit small, with one ``_`` for other signs."""
    letters = [sign if sign.isalnum() or sign == "_" else " " for sign in unit.lower()]
    return "_".join("".join(letters).split()).strip("_") or "unit"


def _known(values: Iterable[float]) -> list[float]:
    return [float(value) for value in values if not math.isnan(value)]


def _sum(values: Iterable[float]) -> float:
    return math.fsum(_known(values))


def _mean(values: Iterable[float]) -> float:
    known = _known(values)
    return math.fsum(known) / len(known) if known else NAN


def _min(values: Iterable[float]) -> float:
    return min(_known(values), default=NAN)


def _max(values: Iterable[float]) -> float:
    return max(_known(values), default=NAN)


def _weight(row: Row, cutoff: int) -> float:
    return float(2 ** (-(cutoff - row["occurred_at"]) / HALF_LIFE))


def _forgetting_sum(rows: Sequence[Row], of: Callable[[Row], float], cutoff: int) -> float:
    return _sum(_weight(row, cutoff) * of(row) for row in rows)


def _forgetting_mean(rows: Sequence[Row], of: Callable[[Row], float], cutoff: int) -> float:
    weights = math.fsum(_weight(row, cutoff) for row in rows)
    return _forgetting_sum(rows, of, cutoff) / weights if rows else NAN
