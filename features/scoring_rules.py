"""How scores are made and where they go: the section ``scoring`` of a study.

It describes operations: nothing here changes a feature, a model or a score, so it is no part of the fingerprint.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from features.errors import closest
from features.marked import Fault
from features.memory import memory
from features.snapshot import DAY

__all__ = ["GROWING", "Scoring", "Sink", "age_limit", "scoring_faults"]

GROWING: Final = ("touchpoints", "revenue")
"""Tables that grow as long as there is business: one age for all holds for these."""

_LONGEST: Final = 50
"""Postgres cuts names off after 63 bytes, and one of the tables is called ``<table>_deliveries``."""

_UNITS: Final = {"hour": DAY // 24, "day": DAY, "week": 7 * DAY}
_EXPECTED: Final = "Expected a number of hours, days or weeks above 0, such as 40 days."


def age_limit(text: str) -> int:
    """Read an age.

    Parameters
    ----------
    text : str
        A whole number of hours, days or weeks.

    Returns
    -------
    int
        Microseconds.

    Raises
    ------
    ValueError
        It is none.

    Examples
    --------
    >>> age_limit("2 weeks") == age_limit("14 days") == age_limit("336 hours")
    True
    """
    found = re.fullmatch(r"(\d{1,6}) (hour|day|week)s?", text)
    if found is None or int(found[1]) == 0:
        raise ValueError(f"{text} is not an age. {_EXPECTED}")
    return int(found[1]) * _UNITS[found[2]]


def _age(value: object) -> object:
    """Check an age, before types are told apart: a bare number is an age without its unit."""
    age_limit(value if isinstance(value, str) else repr(value))
    return value


def _ages(value: object) -> object:
    """One age for all that grows, or one for each table."""
    return value if isinstance(value, dict) else dict.fromkeys(GROWING, value)


def _inner_file(value: str) -> str:
    paths = PurePosixPath(value), PureWindowsPath(value)
    if any(path.is_absolute() or path.drive or ".." in path.parts for path in paths) or not paths[0].name:
        raise ValueError(f"{value!r} leaves the folder of the study. Expected a file inside it, such as scores.duckdb.")
    return value


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", value, re.ASCII):
        raise ValueError(
            "this is not the name of an environment variable. Expected the name of the one that holds the connection "
            "URL, such as SCORES_URL; never the URL itself."
        )
    return value


def _spark(value: str) -> str:
    if not re.fullmatch(r"local(\[(\d+|\*)\])?|spark://[\w.-]+:\d+(,[\w.-]+:\d+)*|yarn|k8s://\S+", value, re.ASCII):
        raise ValueError(
            f"{value!r} is not an address of Spark. Expected spark://host:7077, local[2], yarn or k8s://https://host:port."
        )
    return value


def _table(value: str) -> str:
    parts = value.split(".")
    if len(parts) > 2 or not all(part.strip() and part.isprintable() for part in parts):
        raise ValueError(f"{value!r} is not a table. Expected table or schema.table.")
    if any(len(part.encode()) > _LONGEST for part in parts):
        raise ValueError(f"{value!r} is too long for Postgres. Expected names of at most {_LONGEST} bytes.")
    return value


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sink(_Declared):
    """A table in a database that is given the scores as well.

    Parameters
    ----------
    duckdb : str or None
        File, relative to the study file and inside its folder; made when missing.
    postgres : str or None
        Name of the environment variable that holds the connection URL.
    table : str
        ``table`` or ``schema.table``; made when missing.
    """

    duckdb: Annotated[str, AfterValidator(_inner_file)] | None = None
    postgres: Annotated[str, AfterValidator(_variable)] | None = None
    table: Annotated[str, AfterValidator(_table)] = "scores"

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.duckdb is None) == (self.postgres is None):
            given = "neither duckdb nor postgres is" if self.duckdb is None else "both duckdb and postgres are"
            raise ValueError(f"{given} given. Expected one: {{duckdb: FILE}} or {{postgres: VARIABLE}}.")
        return self


class Scoring(_Declared):
    """How scores are made and where they go.

    Parameters
    ----------
    freshness : dict of str to str
        How old the newest row of a table may be when the latest cutoff is scored, by table. One age in the file stands
        for touchpoints and revenue.
    sink : Sink or None
        Where scores are delivered to.
    memory_limit : str or None
        What all processes of the layout, the panel and scoring may hold together, such as ``2 GiB``; no limit but that
        of ``engine`` when left out.
    engine : str or None
        Spark that scores, ``spark://host:7077`` or ``local[2]``; this process when left out.
    """

    freshness: Annotated[dict[str, Annotated[str, BeforeValidator(_age)]], BeforeValidator(_ages)] = Field(
        default_factory=dict
    )
    sink: Sink | None = None
    memory_limit: Annotated[str, AfterValidator(memory)] | None = None
    engine: Annotated[str, AfterValidator(_spark)] | None = None


def scoring_faults(raw: dict[object, object]) -> Iterator[Fault]:
    """Find tables with an age that the study does not have.

    Parameters
    ----------
    raw : dict
        The plain study; anything malformed is skipped here.

    Yields
    ------
    Fault
        One for each.
    """
    scoring = raw.get("scoring")
    ages = scoring.get("freshness") if isinstance(scoring, dict) else None
    if ages is None:
        return
    if raw.get("flat") is not None:
        message = "rows of a flat table have no times, so they have no age. Remove this key."
        yield Fault(("scoring", "freshness"), message, at_key=True)
        return
    known = _dated(raw)
    for table in ages if isinstance(ages, dict) else ():
        if isinstance(table, str) and table not in known:
            message = f"there is no such table with times.{closest(table, known)} Known here: {', '.join(known)}."
            yield Fault(("scoring", "freshness", table), message, at_key=True)


def _dated(raw: dict[object, object]) -> list[str]:
    """Name the tables whose rows have times of their own."""
    outcomes = raw.get("outcomes")
    named = [one.get("name") for one in (outcomes if isinstance(outcomes, list) else ()) if isinstance(one, dict)]
    churn = raw.get("churn")
    has_table = not (isinstance(churn, dict) and churn.get("inactive_days") is not None)
    own = ["customers", "touchpoints", *(["churn"] if has_table else []), "revenue"]
    return own + [f"outcomes.{name}" for name in named if isinstance(name, str)]
