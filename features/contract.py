"""What a panel promises to whoever reads it: features, cutoffs, and from what it was made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from features.errors import StoreError
from features.facts import Recorded
from features.measures import Feature, Observed
from features.publish import recover, store_error
from features.snapshot import iso

__all__ = ["PANEL", "PanelContract", "Partition", "existing_contract", "no_rows", "read_contract"]

PANEL = "panel"
"""Folder of the panel inside the store."""

_FILE = "panel.json"
_FORMAT = 3


class Partition(BaseModel):
    """One cutoff of the panel.

    ``parts`` holds, for each bucket of customers, a hash of all that its rows depend on; the part of a bucket is used
    again while it stays the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cutoff: int
    rows: int
    is_mature: bool
    parts: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"cutoff_date={iso(self.cutoff)}"

    def part(self, bucket: int) -> str:
        """Name the file with the rows of a bucket."""
        return f"{self.folder}/part-{bucket}.parquet"


class PanelContract(BaseModel):
    """The contract of a panel.

    Attributes
    ----------
    study : str
        Name of the study.
    layout_fingerprint : str
        Of the tables it was made from.
    feature_contract_hash : str
        Models trained on one panel may score another if this is the same.
    features : tuple of Feature
        The columns that models may use, in order.
    outcomes : tuple of str
        Outcome columns: ``is_churned``, ``revenue`` and further ones.
    data_end : int
        Latest event in the data, microseconds.
    partitions : tuple of Partition
        By cutoff, ascending.
    observed, recorded, categories
        What the catalogue was derived from; kept so that later cutoffs get the same features.
    notes : tuple of str
        What was left out and why.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = _FORMAT
    study: str
    layout_fingerprint: str
    feature_contract_hash: str
    features: tuple[Feature, ...]
    outcomes: tuple[str, ...]
    data_end: int
    partitions: tuple[Partition, ...]
    observed: tuple[Observed, ...] = ()
    recorded: Recorded = Recorded()
    categories: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """Cutoffs in microseconds, ascending."""
        return tuple(partition.cutoff for partition in self.partitions)

    @property
    def by_cutoff(self) -> dict[int, Partition]:
        """Partitions by their cutoff, microseconds."""
        return {partition.cutoff: partition for partition in self.partitions}

    @property
    def matured(self) -> tuple[int, ...]:
        """Cutoffs whose outcomes are known."""
        return tuple(partition.cutoff for partition in self.partitions if partition.is_mature)

    @property
    def rows(self) -> int:
        """Rows of all partitions."""
        return sum(partition.rows for partition in self.partitions)

    def write(self, folder: Path) -> None:
        """Write it beside the partitions; equal contracts give equal bytes."""
        (folder / _FILE).write_text(self.model_dump_json(indent=1), encoding="utf-8")

    def replace_in(self, store: Path) -> None:
        """Take the place of the contract of the panel in a store, at once."""
        beside = store / PANEL / f"{_FILE}.tmp"
        try:
            beside.write_text(self.model_dump_json(indent=1), encoding="utf-8")
            beside.replace(store / PANEL / _FILE)
        except OSError as fault:
            raise store_error(store / PANEL, fault) from fault


def no_rows(store: Path, contract: PanelContract, cutoffs: Sequence[int]) -> StoreError:
    """Say which cutoffs a panel does not hold; without any, that it holds none."""
    names = ", ".join(map(iso, cutoffs)) or "any cutoff"
    there = ", ".join(map(iso, contract.cutoffs)) or "nothing"
    return StoreError(f"The panel in '{store}' has no rows for {names}. It holds {there}. Build the panel for it.")


def read_contract(store: Path) -> PanelContract:
    """Read the contract of the panel in a store.

    Raises
    ------
    StoreError
        There is no panel, or it was made by another version.
    """
    found = existing_contract(store)
    if found is None:
        raise StoreError(f"'{store}' holds no panel of this version. Run 'journeylift features' first.")
    return found


def existing_contract(store: Path) -> PanelContract | None:
    """Read the contract of the panel in a store, if there is one of this version."""
    recover(store / PANEL)
    try:
        found = PanelContract.model_validate_json((store / PANEL / _FILE).read_bytes())
    except (OSError, ValidationError):
        return None
    return found if found.format == _FORMAT else None
