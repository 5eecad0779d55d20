"""Which parts of a panel are still true, and putting a panel together from them and from new ones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from features.contract import PANEL, PanelContract, Partition, existing_contract
from features.pipeline import in_turn
from features.publish import staged, store_error

__all__ = ["PanelInfo", "Plan", "Request", "settle", "write_in_turn", "write_part"]


@dataclass(frozen=True, slots=True)
class Request:
    """Cutoffs wanted, which cutoffs are mature, and whether others stay of which any part is still true."""

    wanted: tuple[int, ...]
    mature: frozenset[int]
    keeps_others: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Partitions as they shall be, and the parts (partition, bucket) of the panel that is there which stay."""

    partitions: tuple[Partition, ...]
    kept: frozenset[tuple[int, int]]

    def missing(self, bucket: int) -> tuple[Partition, ...]:
        """List the partitions whose part of a bucket must be built."""
        return tuple(one for one in self.partitions if (one.cutoff, bucket) not in self.kept)


Build: TypeAlias = Callable[[Plan, Path], None]
Fingerprints: TypeAlias = Callable[[int, bool], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class PanelInfo:
    """What a build did.

    Attributes
    ----------
    contract : PanelContract
        The contract of the panel as it is now.
    built, reused : tuple of int
        Cutoffs in microseconds, of which anything, or nothing, was built.
    parts_built, parts_reused : int
        Rows are built by cutoff and bucket of customers: how many of these were built, and how many taken over.
    """

    contract: PanelContract
    built: tuple[int, ...]
    reused: tuple[int, ...]
    parts_built: int
    parts_reused: int

    @property
    def rows(self) -> int:
        """Rows of the panel."""
        return self.contract.rows


def settle(
    store: Path, contract: PanelContract, request: Request, fingerprints: Fingerprints, build: Build
) -> PanelInfo:
    """Find out what is there and true, build the rest, and publish unless nothing changes.

    Parameters
    ----------
    store : Path
        Where the panel is, or shall be.
    contract : PanelContract
        Of the panel as it shall be, without partitions.
    request : Request
        What is wanted.
    fingerprints : callable
        Gives the parts of a cutoff, from the cutoff and from whether it is mature.
    build : callable
        Writes the missing parts of a plan into a folder that holds the others.

    Returns
    -------
    PanelInfo
    """
    there = existing_contract(store)
    old = {one.cutoff: one for one in (there.partitions if there else ())}
    planned = {
        t: Partition(cutoff=t, rows=0, is_mature=t in request.mature, parts=fingerprints(t, t in request.mature))
        for t in sorted({*request.wanted, *old})
    }
    kept = frozenset(place for t in planned if t in old for place in _true_parts(store, planned[t], old[t]))
    others = {t for t, _ in kept} if request.keeps_others else set()
    plan = Plan(tuple(planned[t] for t in sorted({*request.wanted, *others})), kept)
    info = _info(contract, plan)
    if there is not None and not info.built and info.reused == there.cutoffs:
        return replace(info, contract=_renewed(store, there, contract))
    return replace(info, contract=_write(store, contract, plan, build))


def _true_parts(store: Path, planned: Partition, old: Partition) -> list[tuple[int, int]]:
    """List the parts of a partition that are there and would come out the same."""
    return [
        (planned.cutoff, bucket)
        for bucket, fingerprint in enumerate(planned.parts)
        if old.parts[bucket : bucket + 1] == (fingerprint,) and _is_whole(store / PANEL / planned.part(bucket))
    ]


def _is_whole(path: Path) -> bool:
    """Tell whether a file is there and ends as Parquet does; one that was cut off is built anew."""
    try:
        pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return False
    return True


def _info(contract: PanelContract, plan: Plan) -> PanelInfo:
    missing = {
        one.cutoff: sum((one.cutoff, b) not in plan.kept for b in range(len(one.parts))) for one in plan.partitions
    }
    total = sum(len(one.parts) for one in plan.partitions)
    return PanelInfo(
        contract=contract,
        built=tuple(t for t, n in missing.items() if n),
        reused=tuple(t for t, n in missing.items() if not n),
        parts_built=sum(missing.values()),
        parts_reused=total - sum(missing.values()),
    )


def _renewed(store: Path, there: PanelContract, contract: PanelContract) -> PanelContract:
    """Keep all rows; tables that have grown by what matters at none of the cutoffs are named in the contract."""
    renewed = contract.model_copy(update={"partitions": there.partitions})
    if renewed != there:
        renewed.replace_in(store)
    return renewed


def _write(store: Path, contract: PanelContract, plan: Plan, build: Build) -> PanelContract:
    """Link what stays, build what is new, write the contract, swap all in."""
    with staged(store / PANEL) as folder:
        try:
            for partition in plan.partitions:
                (folder / partition.folder).mkdir()
                for bucket in range(len(partition.parts)):
                    if (partition.cutoff, bucket) in plan.kept:
                        _link(store / PANEL / partition.part(bucket), folder / partition.part(bucket))
            build(plan, folder)
            partitions = [p.model_copy(update={"rows": _n_rows(folder, p)}) for p in plan.partitions]
            contract = contract.model_copy(update={"partitions": tuple(partitions)})
            contract.write(folder)
        except OSError as fault:
            raise store_error(store / PANEL, fault) from fault
    return contract


def write_in_turn(tables: Iterable[pa.Table], paths: Iterable[Path]) -> Iterator[Path]:
    """Write tables to files, each while the next one is being made.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        Made when they are asked for; two are in memory at a time.
    paths : iterable of Path
        Where each goes.

    Returns
    -------
    iterator of Path
        Each file, when the table after it has been made.
    """

    def write(part: tuple[pa.Table, Path]) -> Path:
        write_part(*part)
        return part[1]

    return in_turn(write, zip(tables, paths, strict=True))


def write_part(table: pa.Table, path: Path) -> None:
    """Write rows; equal tables give equal bytes. Without dictionaries: nearly all columns are numbers that differ."""
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    pq.write_table(table, path, compression="lz4", use_dictionary=texts, write_statistics=False, row_group_size=131_072)


def _link(old: Path, new: Path) -> None:
    """Give a file a second name; copy it where the file system cannot."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)


def _n_rows(folder: Path, partition: Partition) -> int:
    return sum(pq.read_metadata(folder / partition.part(bucket)).num_rows for bucket in range(len(partition.parts)))
