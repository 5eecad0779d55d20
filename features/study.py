"""The study: what a company's tables and columns mean, its journey map, its measures and its snapshot grid.

Everything here is declared by the user in ``study.yaml`` and only read afterwards; nothing touches files.
"""

import hashlib
import json
import re
from datetime import date
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from features.marked import compose, validated
from features.memory import memory, within
from features.monitoring_rules import Monitoring
from features.overrules import Overrule
from features.schedule import Schedule
from features.scoring_rules import Scoring
from features.study_rules import study_faults

__all__ = [
    "Churn",
    "Customers",
    "Engine",
    "Flat",
    "Journey",
    "Measure",
    "Money",
    "Outcome",
    "Overrule",
    "Schedule",
    "Scoring",
    "SnapshotGrid",
    "Source",
    "Study",
    "Table",
    "Touchpoints",
    "parse_study",
]


def _name(value: str) -> str:
    """Check a name that becomes part of feature names; any script is welcome."""
    if not value.strip() or value != value.strip() or not value.isprintable():
        raise ValueError(f"{value!r} is not a name. Expected visible text without blanks around it.")
    if "__" in value:
        raise ValueError(f"{value!r} holds '__', which separates the parts of feature names. Use one '_'.")
    return value


def _file_name(value: str) -> str:
    """Check a name that also becomes the name of a file."""
    if set(value) & set('/\\:*?"<>|'):
        raise ValueError(f"{value!r} cannot be part of a file name. Expected letters, digits, '-' and '_'.")
    return value


def _source_name(value: str) -> str:
    if not re.fullmatch(r"[^\W\d]\w*", value) or value.lower() in {"main", "memory", "system", "temp"}:
        raise ValueError(f"'{value}' cannot name a source. Expected letters, digits and '_' (not main, memory, temp).")
    return value


def _study_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]+", value):
        raise ValueError(f"{value!r} cannot name a study. Expected small letters a-z, digits, '-' and '_'.")
    return value


def _inner_folder(value: str) -> str:
    paths = PurePosixPath(value), PureWindowsPath(value)
    if any(path.is_absolute() or path.drive or ".." in path.parts for path in paths) or not paths[0].parts:
        raise ValueError(f"{value!r} leaves the folder of the study. Expected a folder inside it, such as 'store'.")
    return value


def _every(value: object) -> object:
    if value in ("month", "week") or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError(f"{value!r} is not a step of cutoffs. Expected month, week or a whole number of days from 1.")


_OPERATIONS: Final = frozenset({"engine", "monitoring", "schedule", "scoring"})
"""Sections that say how a study is run: they change no result, so a change of them makes nothing stale."""

Name = Annotated[str, AfterValidator(_name)]
SourceName = Annotated[str, AfterValidator(_source_name)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]


class _Declared(BaseModel):
    """Base of everything the user declares: frozen, and no key that we do not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Declared):
    """Where rows come from.

    Parameters
    ----------
    kind : {"files", "duckdb", "sqlite", "postgres"}
        What it is; ``files`` are Parquet or CSV, one path or a glob.
    where : str
        Path or glob relative to the study file, with ``${VAR}`` and ``${VAR:-default}``; for ``postgres`` the name of
        the environment variable that holds the connection URL.
    """

    kind: Literal["files", "duckdb", "sqlite", "postgres"]
    where: str = Field(min_length=1)

    @model_validator(mode="after")
    def _no_address(self) -> Self:
        if self.kind == "postgres" and not re.fullmatch(r"[^\W\d]\w*", self.where):
            # It may be an address with its password, so it is not shown.
            raise ValueError(
                "this is not the name of an environment variable. Expected {postgres: SHOP_URL}, with the address in "
                "the variable SHOP_URL of the environment, and neither the address nor ${SHOP_URL} in this file."
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: object) -> object:
        if isinstance(value, str):
            return {"kind": "files", "where": value}
        if isinstance(value, dict) and set(value) == {"kind", "where"}:
            return value
        kinds = ("files", "duckdb", "sqlite", "postgres")
        if isinstance(value, dict) and len(value) == 1:
            kind, where = next(iter(value.items()))
            if kind in kinds and isinstance(where, str):
                return {"kind": kind, "where": where}
        expected = "a path such as data/customers.parquet, or one of {duckdb: FILE}, {sqlite: FILE}, {postgres: VAR}"
        raise ValueError(f"this is not a source. Expected {expected}.")


class Table(_Declared):
    """One table of the user: where its rows are and what its columns mean.

    Parameters
    ----------
    source : str or None
        Name of a source (``from`` in the file).
    table : str or None
        Table inside a database source, ``schema.table`` or ``table``.
    sql : str or None
        A query instead of a table; without ``source`` over all file and DuckDB sources, with it inside that database.
    columns : dict of str to str
        Our name to the user's column; a column that already has our name needs no entry.
    """

    source: str | None = Field(default=None, alias="from")
    table: str | None = None
    sql: str | None = None
    columns: dict[str, str] = Field(default_factory=dict)

    def column(self, name: str) -> str:
        """Give the user's name of one of our columns."""
        return self.columns.get(name, name)


class Customers(Table):
    """The customers table, with the baseline columns that were known at joining."""

    covariates: tuple[Name, ...] = ()


class Touchpoints(Table):
    """The touchpoints table.

    Parameters
    ----------
    session_gap_days : float
        A pause longer than this starts a new journey where a row has no ``journey_id``; a journey of the map may have
        its own.
    repeat_days : float
        Whoever comes back within so many days comes back with the same problem.
    """

    session_gap_days: Number = Field(default=14, gt=0)
    repeat_days: Number = Field(default=7, gt=0)


class Churn(Table):
    """Churn as events, or as the rule *no revenue for ``inactive_days`` days*."""

    inactive_days: Whole | None = Field(default=None, ge=1)


class Outcome(Table):
    """A further outcome: an event, an amount or a mean over the horizon."""

    name: Annotated[Name, AfterValidator(_file_name)]
    kind: Literal["event", "amount", "mean"]
    direction: Literal["lower", "higher"] = "higher"


class Journey(_Declared):
    """One journey of the map.

    Parameters
    ----------
    name, stage : str
        Its name, and the part of a customer's life to which it belongs.
    leads_to : tuple of str
        Journeys in which it causes contacts.
    ends_with : tuple of str
        Touchpoints that finish it; without any, a journey is finished when its task is done.
    session_gap_days : float or None
        Its own pause instead of that of the touchpoints.
    """

    name: Name
    stage: Name
    leads_to: tuple[str, ...] = ()
    ends_with: tuple[str, ...] = ()
    session_gap_days: Number | None = Field(default=None, gt=0)


class Measure(_Declared):
    """A quality measured at touchpoints.

    Parameters
    ----------
    name : str
        Our name; also the column, unless mapped.
    unit : str
        Unit shown with every number.
    kind : str
        ``duration`` and ``count`` cannot be negative; ``share`` lies in [0, 1]; ``rating`` is an answer of the
        customer; ``gap`` is a difference to a promise; ``amount`` is anything else.
    direction : {"lower", "higher"}
        Which way is better for the customer.
    response : {"always", "voluntary"}
        Whether the customer chooses to answer.
    control : {"own", "influenced", "none"}
        Whether the company can move it.
    missing : {"not_applicable", "not_answered"}
        What a missing value means; by default ``not_answered`` where the response is voluntary.
    journeys : tuple of str
        Journeys in which it occurs; empty means all.
    known : {"before", "after"}
        ``after`` if it is only known after the outcome, which refuses it as a driver.
    range : tuple of float or None
        Smallest and largest possible value.
    task : bool
        For a share where higher is better: whether what the customer came for was done at the touchpoint.
    promise : str or None
        The measure that holds what was promised for this one.
    negative_control : bool
        Whether it is sure to move no outcome: its effect must be nil, or effects of other measures are doubted.
    journey, touchpoint, column : str or None
        For flat tables: where the column belongs, and its name there.
    """

    name: Name
    unit: Name
    kind: Literal["duration", "share", "rating", "count", "gap", "amount"]
    direction: Literal["lower", "higher"]
    response: Literal["always", "voluntary"] = "always"
    control: Literal["own", "influenced", "none"] = "own"
    missing: Literal["not_applicable", "not_answered"] = "not_applicable"
    journeys: tuple[str, ...] = ()
    known: Literal["before", "after"] = "before"
    range: tuple[Number, Number] | None = None
    task: bool = False
    promise: str | None = None
    negative_control: bool = False
    journey: str | None = None
    touchpoint: str | None = None
    column: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _missing_by_response(cls, value: object) -> object:
        if isinstance(value, dict) and value.get("response") == "voluntary":
            return {"missing": "not_answered"} | value
        return value

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError(f"range {list(self.range)} is empty. Expected the smallest value first, such as [0, 10].")
        return self

    @model_validator(mode="after")
    def _check_task(self) -> Self:
        if self.task and (self.kind, self.direction) != ("share", "higher"):
            found = f"'{self.name}' is a {self.kind}, {self.direction} is better"
            raise ValueError(f"{found}: it cannot say whether a task was done. Expected kind share, direction higher.")
        return self

    @model_validator(mode="after")
    def _check_negative_control(self) -> Self:
        if self.negative_control and (self.is_rating or self.known == "after"):
            found = "is a rating, a consequence" if self.is_rating else "is known only after the outcome"
            raise ValueError(
                f"'{self.name}' {found}, so it is never moved. A negative control is a measure known before that moves "
                "no outcome. Mark another one, or take negative_control out."
            )
        return self

    @property
    def is_rating(self) -> bool:
        """Whether it is an answer of the customer: a consequence, never a control for an operational measure."""
        return self.kind == "rating"

    @property
    def is_controllable(self) -> bool:
        """Whether an initiative may move it."""
        return self.control != "none" and self.known == "before" and not self.is_rating

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value that is not a mistake; infinite where nothing is known."""
        if self.range is not None:
            return self.range
        low = 0.0 if self.kind in {"duration", "count", "share"} else float("-inf")
        return low, 1.0 if self.kind == "share" else float("inf")


class SnapshotGrid(_Declared):
    """The cutoffs, and the days looked back and ahead from each."""

    every: Annotated[Literal["month", "week"] | int, BeforeValidator(_every)] = "month"
    window_days: Whole = Field(default=180, ge=1)
    gap_days: Whole = Field(default=0, ge=0)
    horizon_days: Whole = Field(default=91, ge=1)
    first: date | None = None
    last: date | None = None


class Money(_Declared):
    """What a unit of revenue is worth: margin, yearly discount rate, and months looked ahead."""

    margin: Number = Field(default=1.0, gt=0, le=1)
    discount_rate: Number = Field(default=0.08, ge=0, lt=1)
    months: Whole = Field(default=24, ge=1, le=600)


class Engine(_Declared):
    """What the machine may spend on layout and panel; changes no result, so it is no part of the fingerprint.

    Parameters
    ----------
    memory_limit : str
        What DuckDB may use before it spills to disk, such as ``4GB``.
    threads : int or None
        Threads of DuckDB; all cores when left out.
    workers : int
        Processes that build the panel side by side; each holds one bucket.
    spill : str or None
        Folder for what does not fit into memory; inside the store when left out.
    """

    memory_limit: Annotated[str, AfterValidator(memory)] = "4GB"
    threads: Whole | None = Field(default=None, ge=1)
    workers: Whole = Field(default=2, ge=1, le=256)
    spill: str | None = None


class Flat(Table):
    """One row per customer (and wave) with measures as columns and no event times.

    ``wave``, ``weight``, ``churned`` and ``revenue`` name the user's columns, and ``outcomes`` maps names of ours to
    further ones (numbers, such as overall satisfaction). ``segment`` names the covariate by whose levels effects are
    told as well. ``base_rate`` is the known churn rate where churners were
    oversampled; rows are then weighted so that the weighted churn rate equals it.
    """

    churned: str | None = None
    wave: str | None = None
    weight: str | None = None
    base_rate: Number | None = Field(default=None, gt=0, lt=1)
    revenue: str | None = None
    outcomes: dict[Annotated[Name, AfterValidator(_file_name)], str] = {}
    covariates: tuple[Name, ...] = ()
    segment: str | None = None


class Study(_Declared):
    """Everything the user declared. Build it with :func:`parse_study`, which also checks names across sections."""

    name: Annotated[str, AfterValidator(_study_name)] = Field(alias="study")
    currency: Name = "EUR"
    sources: dict[SourceName, Source] = Field(min_length=1)
    customers: Customers | None = None
    touchpoints: Touchpoints | None = None
    churn: Churn | None = None
    revenue: Table | None = None
    outcomes: tuple[Outcome, ...] = ()
    journeys: tuple[Journey, ...] = Field(min_length=1)
    measures: tuple[Measure, ...] = ()
    adjustment: tuple[Overrule, ...] = ()
    snapshot: SnapshotGrid = SnapshotGrid()
    money: Money = Money()
    engine: Engine = Engine()
    monitoring: Monitoring = Monitoring()
    schedule: Schedule = Schedule()
    scoring: Scoring = Scoring()
    store: Annotated[str, AfterValidator(_inner_folder)] = "store"
    flat: Flat | None = None

    @property
    def is_flat(self) -> bool:
        """Whether the study is a flat table without event times."""
        return self.flat is not None

    @property
    def resources(self) -> Engine:
        """What the machine may spend on layout and panel, within ``scoring.memory_limit``."""
        return within(self.engine, self.scoring.memory_limit)

    @property
    def journey_names(self) -> tuple[str, ...]:
        """Names of the journeys, in lifecycle order."""
        return tuple(journey.name for journey in self.journeys)

    @property
    def measure_names(self) -> tuple[str, ...]:
        """Names of the measures, in causal order within a touchpoint."""
        return tuple(measure.name for measure in self.measures)

    def session_gap_days(self, journey: str) -> float:
        """Give the pause after which a journey without an id has ended."""
        own = next((one.session_gap_days for one in self.journeys if one.name == journey), None)
        return own or (self.touchpoints.session_gap_days if self.touchpoints is not None else 0.0)

    def panel_fingerprint(self) -> str:
        """Give the SHA-256 of what the study says of rows of the panel, apart from where tables are and which cutoffs.

        64 hexadecimal digits. Tables may grow and cutoffs be added without a change.
        """
        apart = {*_OPERATIONS, "money", "store", "sources", "adjustment"}
        grid = self.snapshot.model_dump(include={"window_days", "gap_days", "horizon_days"})
        plain = self.model_dump(mode="json", by_alias=True, exclude=apart) | {"snapshot": grid}
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    def fingerprint(self) -> str:
        """Give the SHA-256 of the study in canonical form: 64 hexadecimal digits, equal for equal studies."""
        plain = self.model_dump(mode="json", by_alias=True, exclude=set(_OPERATIONS))
        canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


def parse_study(text: str, origin: str) -> Study:
    r"""Read the text of a study file.

    Parameters
    ----------
    text : str
        YAML.
    origin : str
        Name of the file, as shown in messages.

    Returns
    -------
    Study
        The checked study. Paths and environment variables are not looked at.

    Raises
    ------
    StudyError
        With every fault of the file and its line: unknown, missing or doubled keys, values that do not fit, and names
        that are used but not declared.

    Examples
    --------
    >>> text = "study: a\nsources: {t: t.csv}\njourneys: [{name: x, stage: use}]\nflat: {from: t, churned: left}"
    >>> parse_study(text, "study.yaml").journey_names
    ('x',)
    """
    return validated(Study, compose(text, origin), study_faults)
