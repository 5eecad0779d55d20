"""Where a user knows better than the order of the study what to hold fixed, and says why."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from features.errors import closest
from features.marked import Fault, Location

__all__ = ["Overrule", "overrule_faults"]


def _held(value: object) -> object:
    """Read `support: wait`, which YAML takes for a mapping where it is not quoted."""
    if isinstance(value, dict) and len(value) == 1:
        ((journey, measure),) = value.items()
        return f"{journey}: {measure}"
    return value


def _reason(value: str) -> str:
    if not value.strip():
        raise ValueError("the reason is empty. Expected a sentence that whoever reads the effect can judge. Write it.")
    return value.strip()


Held = Annotated[str, BeforeValidator(_held)]


class Overrule(BaseModel):
    """A change to what is held fixed when one measure is moved.

    Parameters
    ----------
    journey, measure : str
        What is moved.
    add, remove : tuple of str
        Measures, as ``journey: measure``, that are to be held fixed or no longer; baseline columns, by name, that are
        no longer held fixed.
    reason : str
        Why; stands beside the effect.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    journey: str
    measure: str
    add: tuple[Held, ...] = ()
    remove: tuple[Held, ...] = ()
    reason: Annotated[str, AfterValidator(_reason)]


def overrule_faults(document: object) -> Iterator[Fault]:
    """Find overrules that name what is not there, or hold fixed what never may be.

    Parameters
    ----------
    document : object
        The plain study; anything malformed is skipped here.

    Yields
    ------
    Fault
        One for each contradiction, with its place.
    """
    raw = document if isinstance(document, dict) else {}
    seen: set[tuple[str, str]] = set()
    for position, item in enumerate(_list(raw.get("adjustment"))):
        if not isinstance(item, dict):
            continue
        where: Location = ("adjustment", position)
        moved = f"{item.get('journey')}: {item.get('measure')}"
        if isinstance(item.get("journey"), str) and isinstance(item.get("measure"), str):
            yield from _place_faults(raw, where, moved)
            if (str(item["journey"]), str(item["measure"])) in seen:
                yield Fault(where, f"'{moved}' is overruled twice. Expected one entry. Put both into one.")
            seen.add((str(item["journey"]), str(item["measure"])))
        add, remove = (_list(item.get(key)) for key in ("add", "remove"))
        if not add and not remove:
            yield Fault(where, "nothing is overruled. Expected add or remove with at least one entry. Name one.")
        yield from _list_faults(raw, where, moved, add, remove)


def _list_faults(
    raw: dict[object, object], where: Location, moved: str, add: list[object], remove: list[object]
) -> Iterator[Fault]:
    covariates = _covariates(raw)
    for key, given in (("add", add), ("remove", remove)):
        for index, value in enumerate(given):
            text, place = _held(value), (*where, key, index)
            if not isinstance(text, str):
                continue
            if text in covariates:
                if key == "add":
                    yield Fault(place, f"the baseline column '{text}' is held fixed anyway. Take it out.")
                continue
            if text == moved:
                yield Fault(place, f"'{text}' is what is moved; it cannot be held fixed. Take it out.")
                continue
            yield from _place_faults(raw, place, text, covariates)
            if key == "add":
                yield from _consequence_faults(raw, place, text)
                if text in map(_held, remove):
                    yield Fault(place, f"'{text}' is in add and in remove. Expected one of the two.")


def _place_faults(
    raw: dict[object, object], where: Location, text: str, others: list[str] | None = None
) -> Iterator[Fault]:
    """Find a text that is not `journey: measure` of the study."""
    measures = {str(m["name"]): m for m in _list(raw.get("measures")) if isinstance(m, dict) and "name" in m}
    journeys = [str(j["name"]) for j in _list(raw.get("journeys")) if isinstance(j, dict) and "name" in j]
    known = [f"{j}: {name}" for name, m in measures.items() for j in _journeys_of(m, journeys)] + (others or [])
    if text not in known:
        what = "measure or baseline column" if others is not None else "measure"
        hint = closest(text, known)
        yield Fault(where, f"no {what} is called '{text}'.{hint} Expected journey: measure, both as in the study.")


def _consequence_faults(raw: dict[object, object], where: Location, text: str) -> Iterator[Fault]:
    name = text.rpartition(": ")[2]
    for measure in _list(raw.get("measures")):
        if not isinstance(measure, dict) or measure.get("name") != name:
            continue
        if measure.get("kind") == "rating":
            yield Fault(where, f"'{text}' is a rating: an answer follows from all before it. Take it out.")
        elif measure.get("known") == "after":
            yield Fault(where, f"'{text}' is known only after the outcome. Take it out.")


def _journeys_of(measure: dict[object, object], journeys: list[str]) -> list[str]:
    if measure.get("journey") is not None:
        return [str(measure["journey"])]
    named = [str(one) for one in _list(measure.get("journeys"))]
    return named or journeys


def _covariates(raw: dict[object, object]) -> list[str]:
    found: list[str] = []
    for section in ("customers", "flat"):
        table = raw.get(section)
        found += [str(one) for one in _list(table.get("covariates"))] if isinstance(table, dict) else []
    return found


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else []
