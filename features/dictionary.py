"""The data dictionary of a panel: what each feature is, and what its values look like."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.contract import PANEL, PanelContract
from features.measures import Feature
from features.publish import store_error, sweep

__all__ = ["Entry", "dictionary", "write_dictionary"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One feature of the dictionary.

    Attributes
    ----------
    name, meaning, unit, direction, level, role, missing_means : str
        As in `features.measures.Feature`.
    journey, touchpoint, measure : str
        Where it belongs; empty if it does not.
    rows : int
        Rows of the panel.
    missing_share : float
        Share of them without a value, in [0, 1].
    no_contact_share : float
        Share of rows without any touchpoint of the journey in the window, to which the feature does not apply; NaN for
        features of no journey. What is missing beyond it was not answered, or not measured.
    low, mean, high : float
        Of the values that are not missing; NaN for text and where all are missing.
    values : int
        How many different texts a category holds; 0 for numbers.
    """

    name: str
    meaning: str
    unit: str
    direction: str
    level: str
    role: str
    journey: str
    touchpoint: str
    measure: str
    missing_means: str
    rows: int
    missing_share: float
    no_contact_share: float
    low: float
    mean: float
    high: float
    values: int


class _Seen:
    """Counts, range and sum of a column, part by part."""

    def __init__(self) -> None:
        self.rows, self.known, self.zeros, self.low, self.high, self.total = 0, 0, 0, np.inf, -np.inf, 0.0
        self.texts: set[str] = set()

    def add(self, column: pa.ChunkedArray) -> None:
        self.rows += len(column)
        if pa.types.is_floating(column.type):
            values = column.to_numpy()
            known = values[~np.isnan(values)].astype(np.float64)
            if len(known):
                self.low, self.high = min(self.low, float(known.min())), max(self.high, float(known.max()))
                self.total += float(known.sum())
                self.zeros += int(np.count_nonzero(known == 0))
        else:
            known = column.drop_null()
            self.texts |= {str(text) for text in pc.unique(known).to_pylist()}
        self.known += len(known)


def dictionary(contract: PanelContract, store: Path) -> pd.DataFrame:
    """Describe every feature of a panel.

    Parameters
    ----------
    contract : PanelContract
        Of the panel.
    store : Path
        Where the panel is.

    Returns
    -------
    DataFrame
        One row per feature in the order of the panel, the attributes of `Entry` as columns.

    Notes
    -----
    Reads the panel part by part; memory is one part.
    """
    seen = {feature.name: _Seen() for feature in contract.features}
    for path in _files(contract, store):
        table = pq.read_table(path, columns=list(seen), partitioning=None)
        for name, one in seen.items():
            one.add(table[name])
    entries = [
        _entry(feature, seen[feature.name], seen.get(f"{feature.journey}__touchpoints_count__total"))
        for feature in contract.features
    ]
    return pd.DataFrame({field.name: [getattr(entry, field.name) for entry in entries] for field in fields(Entry)})


def write_dictionary(path: Path, contract: PanelContract, store: Path) -> None:
    """Write the dictionary of a panel as CSV, whole or not at all.

    Raises
    ------
    StoreError
        The file cannot be written.
    """
    beside = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    sweep(path)
    try:
        dictionary(contract, store).to_csv(beside, index=False, float_format="%.6g")
        beside.replace(path)
    except OSError as fault:
        raise store_error(path, fault) from fault
    finally:
        beside.unlink(missing_ok=True)


def _files(contract: PanelContract, store: Path) -> Iterator[Path]:
    for partition in contract.partitions:
        for bucket in range(len(partition.parts)):
            yield store / PANEL / partition.part(bucket)


def _entry(feature: Feature, seen: _Seen, contacts: _Seen | None) -> Entry:
    is_number = feature.kind == "number" and seen.known > 0
    return Entry(
        name=feature.name,
        meaning=feature.meaning,
        unit=feature.unit,
        direction=feature.direction,
        level=feature.level,
        role=feature.role,
        journey=feature.journey or "",
        touchpoint=feature.touchpoint or "",
        measure=feature.measure or "",
        missing_means=feature.missing,
        rows=seen.rows,
        missing_share=1 - seen.known / seen.rows if seen.rows else 1.0,
        no_contact_share=contacts.zeros / contacts.rows if contacts is not None and contacts.rows else np.nan,
        low=seen.low if is_number else np.nan,
        mean=seen.total / seen.known if is_number else np.nan,
        high=seen.high if is_number else np.nan,
        values=len(seen.texts),
    )
