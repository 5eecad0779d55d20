"""What every form of the benchmark is asked for: the columns there are, the features wanted, where to read and write.

Standard library only: featuretools runs in an environment of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "CHANNELS",
    "COLUMNS",
    "FEATURES",
    "HALF_LIFE_DAYS",
    "JOURNEYS",
    "KINDS",
    "MEASURES",
    "REPEAT_DAYS",
    "TOUCHPOINTS",
    "WINDOW_DAYS",
    "ZERO_WHEN_EMPTY",
    "Task",
    "feature_columns",
]

JOURNEYS = ("advert", "billing", "complaint", "onboarding", "outage", "purchase", "renewal", "support")
TOUCHPOINTS = tuple(f"contact_{number:02d}" for number in range(25))
CHANNELS = ("chat", "mail", "phone", "shop", "web")
MEASURES = ("wait", "resolved", "rating", "effort", "kept")
KINDS = {"journey": JOURNEYS, "touchpoint": TOUCHPOINTS, "channel": CHANNELS}
COLUMNS = ("customer_id", "journey_id", *KINDS, "occurred_at", "known_at", *MEASURES)

WINDOW_DAYS = 180
HALF_LIFE_DAYS = 30
REPEAT_DAYS = 7

FEATURES = {
    "journey": (
        "journeys",
        "touches_total",
        "touches_mean",
        "wait_mean",
        "wait_worst",
        "wait_felt",
        "closed_mean",
        "closed_last",
        "rating_low",
        "promise_gap",
        "switches_mean",
        "handovers_mean",
        "returns_total",
        "days_mean",
        "age_low",
    ),
    "touchpoint": ("effort_mean", "contacts"),
}
"""The features of each journey type, and of each kind of touchpoint: 15 x 8 + 2 x 25 = 170 columns."""

ZERO_WHEN_EMPTY = ("journeys", "touches_total", "wait_felt", "returns_total", "contacts")
"""Features that are 0 for a customer without touchpoints; the others are missing."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to compute from where to where.

    Attributes
    ----------
    folder : Path
        The workload, with ``sorted.parquet`` (by ``customer_id`` and ``occurred_at``) and ``store`` (our layout).
    out : Path
        Folder that exists and is empty.
    cutoffs : tuple of int
        Microseconds.
    memory : str
        What DuckDB may use, such as ``4GB``.
    """

    folder: Path
    out: Path
    cutoffs: tuple[int, ...]
    memory: str

    @property
    def touchpoints(self) -> Path:
        """Touchpoints sorted by customer and time."""
        return self.folder / "sorted.parquet"

    @property
    def customers(self) -> Path:
        """Customers with ``joined_at`` and ``left_at``."""
        return self.folder / "customers.parquet"


def feature_columns() -> tuple[str, ...]:
    """List the columns ``{feature}__{level}`` in the order in which the engine gives them."""
    return tuple(f"{name}__{level}" for by, names in FEATURES.items() for name in names for level in KINDS[by])
