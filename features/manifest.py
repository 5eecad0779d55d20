"""What a layout says of itself: rows, measures, journeys and levels that were found, and from what it was made."""

from pydantic import BaseModel, ConfigDict

__all__ = ["FORMAT", "JourneyFound", "LayoutManifest", "MeasureFound", "Quarantined", "RowCount", "Volume"]

FORMAT = 3
"""Version of the files; another one is laid out anew."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class Quarantined(_Record):
    """Rows of one table that are in quarantine for one reason."""

    table: str
    reason: str
    rows: int


class RowCount(_Record):
    """Rows of one table: as read, and as laid out."""

    table: str
    read: int
    kept: int


class MeasureFound(_Record):
    """What a measure looks like; ``low``, ``high`` and ``mean`` are NaN when it is always missing.

    ``by_journey`` counts the values that are not missing in each journey. ``missing_share`` is taken among the
    touchpoints of the journeys for which the measure is declared, or in which it occurs where none are declared.
    """

    name: str
    n: int
    missing_share: float
    low: float
    high: float
    mean: float
    by_journey: dict[str, int]


class JourneyFound(_Record):
    """A journey that occurs: its touchpoints, and its instances."""

    name: str
    touchpoints: int
    instances: int


class Volume(_Record):
    """Touchpoints of one journey in one month (``YYYY-MM``, UTC)."""

    month: str
    journey: str
    touchpoints: int


class LayoutManifest(_Record):
    """What a layout holds, and from what it was made.

    ``fingerprint`` is a hash of the study and of the laid out rows; ``inputs`` of the study and of names, sizes and
    times of the source files, by which a layout is used again. Times are microseconds. ``zoneless`` names the time
    columns that were read as UTC for want of a zone, ``undeclared`` some journeys that are not in the map,
    ``has_sessions`` says whether journeys were found by pauses, ``corrected`` counts touchpoints that a later version
    replaced, ``with_touchpoints`` counts customers that have any, ``before_joining`` touchpoints before their customer
    joined.
    """

    format: int
    fingerprint: str
    inputs: str
    data_start: int
    data_end: int
    buckets: int
    n_customers: int
    rows: tuple[RowCount, ...]
    quarantined: tuple[Quarantined, ...]
    measures: tuple[MeasureFound, ...]
    journeys: tuple[JourneyFound, ...]
    levels: dict[str, tuple[str, ...]]
    has_sessions: bool
    corrected: int
    pairs: tuple[tuple[str, str], ...]
    covariates: dict[str, str]
    zoneless: tuple[str, ...]
    undeclared: tuple[str, ...]
    volumes: tuple[Volume, ...]
    with_touchpoints: int
    before_joining: int

    @property
    def n_touchpoints(self) -> int:
        """Touchpoints that were laid out."""
        return next(count.kept for count in self.rows if count.table == "touchpoints")
