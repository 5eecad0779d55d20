"""Rules for the initiatives file that reach beyond one key: names that must exist, and needs without a circle."""

from __future__ import annotations

from collections.abc import Iterator

from features.errors import closest
from features.marked import Fault, Rules
from features.study import Study
from models.needs import circle

__all__ = ["rules_for"]


def rules_for(study: Study) -> Rules:
    """Give the rules for an initiatives file.

    Parameters
    ----------
    study : Study
        Gives journeys, measures and covariates.

    Returns
    -------
    callable
        Takes the plain document, gives its faults.
    """

    def rules(document: object) -> Iterator[Fault]:
        file = document if isinstance(document, dict) else {}
        listed = file.get("initiatives")
        items = [
            (i, item) for i, item in enumerate(listed if isinstance(listed, list) else ()) if isinstance(item, dict)
        ]
        seen: set[str] = set()
        for i, item in items:
            yield from _initiative_faults(study, ("initiatives", i), item, seen)
        yield from _relation_faults(items)
        section = file.get("portfolio")
        yield from _portfolio_faults(section if isinstance(section, dict) else {}, [item for _, item in items])

    return rules


def _initiative_faults(
    study: Study, where: tuple[int | str, ...], item: dict[str, object], seen: set[str]
) -> Iterator[Fault]:
    name = str(item.get("name"))
    if name in seen:
        yield Fault((*where, "name"), f"'{name}' is given twice. Give each initiative a name of its own.")
    seen.add(name)
    table = study.flat or study.customers
    covariates = table.covariates if table else ()
    filters = item.get("where")
    for key in filters if isinstance(filters, dict) else ():
        if key not in covariates:
            yield Fault((*where, "where", str(key)), _unknown("covariate", str(key), covariates), at_key=True)
    changes = item.get("changes")
    for j, change in enumerate(changes if isinstance(changes, list) else ()):
        if isinstance(change, dict):
            yield from _change_faults(study, (*where, "changes", j), change)


def _change_faults(study: Study, where: tuple[int | str, ...], change: dict[str, object]) -> Iterator[Fault]:
    for key, known in (("journey", study.journey_names), ("measure", study.measure_names)):
        value = change.get(key)
        if isinstance(value, str) and value not in known:
            yield Fault((*where, key), _unknown(key, value, known))
    measure = next((m for m in study.measures if m.name == change.get("measure")), None)
    journey = change.get("journey")
    if measure and measure.journeys and journey in study.journey_names and journey not in measure.journeys:
        message = f"'{measure.name}' is not measured in '{journey}'. It is in: {', '.join(measure.journeys)}."
        yield Fault((*where, "measure"), message)
    if measure and measure.journey and journey in study.journey_names and journey != measure.journey:
        message = f"'{measure.name}' is not measured in '{journey}'. It is in: {measure.journey}."
        yield Fault((*where, "measure"), message)
    if measure and change.get("speed_up") is not None and measure.kind != "duration":
        message = (
            f"'{measure.name}' is a {measure.kind}; only a duration shrinks with the time between steps. Use scale."
        )
        yield Fault((*where, "speed_up"), message)
    if measure and change.get("convert") is not None and measure.kind != "share":
        message = f"'{measure.name}' is a {measure.kind}; only a share of 0 and 1 has failures to convert. Use scale."
        yield Fault((*where, "convert"), message)
    other = next((key for key in ("shift", "scale", "cap", "floor") if change.get(key) is not None), None)
    if measure and measure.task and other:
        message = f"'{measure.name}' says whether a task was done; tasks fail or do not, so only convert moves it."
        yield Fault((*where, other), message)


def _unknown(what: str, name: str, known: tuple[str, ...]) -> str:
    return f"no {what} is called '{name}'.{closest(name, known)} Declared: {', '.join(known) or 'none'}."


def _relation_faults(items: list[tuple[int, dict[str, object]]]) -> Iterator[Fault]:
    """Needs and exclusions: of unknown initiatives, of itself, of the same one, round in a circle."""
    known = tuple(str(item.get("name")) for _, item in items)
    needs: dict[str, list[str]] = {}
    places: dict[str, tuple[int | str, ...]] = {}
    for i, item in items:
        name = str(item.get("name"))
        for key in ("needs", "excludes"):
            for j, other in enumerate(_texts(item.get(key))):
                where = ("initiatives", i, key, j)
                if other not in known:
                    yield Fault(where, _unknown("initiative", other, known))
                elif other == name:
                    yield Fault(where, f"'{name}' {key} itself. Expected another initiative. Take it out.")
                elif key == "excludes" and other in _texts(item.get("needs")):
                    yield Fault(where, f"'{name}' both needs and excludes '{other}'. Expected one of the two.")
        needs[name] = [other for other in _texts(item.get("needs")) if other in known and other != name]
        places[name] = ("initiatives", i, "needs")
    found = circle(needs)
    if found:
        path = " needs ".join(f"'{name}'" for name in found)
        yield Fault(places[found[0]], f"{path}: a circle. None of them could come first. Take one of these needs out.")


def _portfolio_faults(section: dict[str, object], planned: list[dict[str, object]]) -> Iterator[Fault]:
    """Names in the section `portfolio` that no initiative has."""
    known = tuple(str(item.get("name")) for item in planned)
    used: set[str] = set()
    for item in planned:
        taken = item.get("capacity")
        used |= {str(resource) for resource in taken} if isinstance(taken, dict) else set()
    for key in ("must", "never"):
        for j, name in enumerate(_texts(section.get(key))):
            if name not in known:
                yield Fault(("portfolio", key, j), _unknown("initiative", name, known))
            elif key == "never" and name in _texts(section.get("must")):
                yield Fault(("portfolio", key, j), f"'{name}' is in must and in never. Expected one of the two.")
    limits = section.get("capacity")
    for resource in limits if isinstance(limits, dict) else ():
        if str(resource) not in used:
            where = ("portfolio", "capacity", str(resource))
            yield Fault(where, _unknown("resource", str(resource), tuple(sorted(used))), at_key=True)


def _texts(value: object) -> list[str]:
    """Texts of a list; nothing of anything else, which is refused elsewhere."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
