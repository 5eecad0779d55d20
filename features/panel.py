"""The panel: one row for each customer at risk and cutoff, with features and outcomes, partitioned by cutoff.

Everything is built beside the panel that is there and swapped in at once. Partitions whose inputs have not changed are
linked, not built again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.contract import PANEL, PanelContract, Partition, existing_contract, read_contract
from features.errors import EmptyResultError, StoreError
from features.flat import FlatTable
from features.flat_panel import flat_contract, flat_rows
from features.layout import Layout, open_layout
from features.measures import catalogue, features_hash, typed
from features.panel_rows import BucketRows, observe
from features.publish import staged, store_error
from features.snapshot import cutoffs as grid_cutoffs
from features.snapshot import day_end, first_with_history, iso, matured
from features.study import Study

__all__ = ["PanelContract", "PanelInfo", "build_panel", "read_contract", "read_panel"]

Tick: TypeAlias = Callable[[str, int, int], None]
Build: TypeAlias = Callable[[tuple[Partition, ...], Path], None]

_WORKERS = 2


@dataclass(frozen=True, slots=True)
class PanelInfo:
    """What a build did.

    Attributes
    ----------
    contract : PanelContract
        The contract of the panel as it is now.
    built, reused : tuple of int
        Cutoffs in microseconds.
    """

    contract: PanelContract
    built: tuple[int, ...]
    reused: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Rows of the panel."""
        return self.contract.rows


@dataclass(frozen=True, slots=True)
class _Request:
    """Cutoffs wanted, which cutoffs are mature, and whether other true partitions stay."""

    wanted: tuple[int, ...]
    mature: frozenset[int]
    keeps_others: bool


@dataclass(frozen=True, slots=True)
class _Job:
    """The partitions of one bucket; a process can be given it."""

    study: Study
    store: Path
    bucket: int
    contract: PanelContract
    partitions: tuple[Partition, ...]
    folder: Path


def build_panel(
    study: Study,
    layout: Layout | FlatTable,
    store: Path,
    *,
    cutoffs: Sequence[int] | None = None,
    is_pinned: bool = False,
    tick: Tick = lambda *_: None,
) -> PanelInfo:
    """Build the panel of a study, or what is missing of it.

    Parameters
    ----------
    study : Study
        An event study or a flat one.
    layout : Layout or FlatTable
        Its tables. The waves of a flat table take the place of cutoffs: see `features.flat_panel`.
    store : Path
        The panel appears in ``panel/`` of it, all at once.
    cutoffs : sequence of int, optional
        Cutoffs wanted, microseconds; partitions that are there and still true stay as well. By default exactly those of
        the study's grid.
    is_pinned : bool
        Keep the features of the panel that is there even if the data now hold other touchpoints or measures, so that a
        model trained on it can score.
    tick : callable
        Told what is done, how much of it is done, and how much there is.

    Returns
    -------
    PanelInfo

    Raises
    ------
    EmptyResultError
        A cutoff has no history, or no cutoff of the grid has matured.
    StoreError
        The store cannot be written.

    Notes
    -----
    The same layout gives the same bytes. Memory: one bucket and one partition for each of at most two processes.
    """
    if isinstance(layout, FlatTable):
        contract, waves = flat_contract(study, layout)
        wanted = tuple(cutoffs or waves)
        request = _Request(wanted, frozenset(waves), keeps_others=cutoffs is not None)
        return _settle(store, contract, request, lambda new, folder: _build_flat(layout, contract, waves, new, folder))
    wanted = _wanted(study, layout, cutoffs)
    there = existing_contract(store)
    contract = _contract(study, layout, there, is_pinned=is_pinned)
    candidates = {*wanted, *(there.cutoffs if there else ())}
    mature = frozenset(matured(candidates, study.snapshot, layout.manifest.data_end))
    request = _Request(wanted, mature, keeps_others=cutoffs is not None)
    return _settle(store, contract, request, lambda new, folder: _build(study, layout, contract, new, folder, tick))


def read_panel(store: Path, cutoffs: Sequence[int] | None = None) -> pd.DataFrame:
    """Read the rows of a panel.

    Parameters
    ----------
    store : Path
        Where the panel was built.
    cutoffs : sequence of int, optional
        Microseconds; all by default.

    Returns
    -------
    DataFrame
        Ordered by cutoff and customer. ``cutoff`` is datetime64[us, UTC], text features are categories, all other
        features float64.

    Raises
    ------
    StoreError
        There is no panel, or not for one of the cutoffs, or it cannot be read.
    """
    contract = read_contract(store)
    chosen = [p for p in contract.partitions if cutoffs is None or p.cutoff in set(cutoffs)]
    absent = sorted({*(cutoffs or ())} - set(contract.cutoffs))
    if absent or not chosen:
        names = ", ".join(map(iso, absent)) or "any cutoff"
        there = ", ".join(map(iso, contract.cutoffs)) or "nothing"
        raise StoreError(f"The panel in '{store}' has no rows for {names}. It holds {there}. Build the panel for it.")
    try:
        parts = [pq.read_table(path, partitioning=None) for p in chosen for path in _parts(store / PANEL / p.folder)]
        table = pa.concat_tables(parts)
    except (OSError, pa.ArrowException) as fault:
        raise StoreError(
            f"The panel in '{store / PANEL}' is damaged ({fault}). Remove that folder, build again."
        ) from fault
    return _as_frame(table, [feature.name for feature in contract.features if feature.kind == "category"])


def _as_frame(table: pa.Table, categories: Sequence[str]) -> pd.DataFrame:
    """Turn rows into a frame whose categories are sorted, whatever the order of the rows."""
    for name in categories:
        table = table.set_column(table.column_names.index(name), name, table[name].dictionary_encode())
    frame: pd.DataFrame = table.to_pandas()
    ordered = {name: frame[name].cat.reorder_categories(sorted(frame[name].cat.categories)) for name in categories}
    return frame.assign(**ordered)


def _wanted(study: Study, layout: Layout, cutoffs: Sequence[int] | None) -> tuple[int, ...]:
    """Check the cutoffs that are asked for, or take those of the grid."""
    manifest, grid = layout.manifest, study.snapshot
    first = iso(first_with_history(grid, manifest.data_start))
    span = f"the data reach from {iso(manifest.data_start)} to {iso(manifest.data_end)}"
    advice = f"The first cutoff with a full window of {grid.window_days} days is {first}."
    if cutoffs is not None:
        outside = [iso(t) for t in cutoffs if not manifest.data_start < t <= day_end(manifest.data_end)]
        if outside:
            raise EmptyResultError(f"The cutoff {', '.join(outside)} has no history: {span}. {advice} Choose another.")
        return tuple(cutoffs)
    found = grid_cutoffs(grid, manifest.data_start, manifest.data_end)
    if not matured(found, grid, manifest.data_end):
        need = f"{grid.gap_days} + {grid.horizon_days} days for the outcomes after it"
        raise EmptyResultError(
            f"No cutoff can be learned from: {span}. {advice} It needs {need}. "
            "Shorten snapshot.window_days or snapshot.horizon_days, or bring more data."
        )
    return found


def _contract(study: Study, layout: Layout, there: PanelContract | None, *, is_pinned: bool) -> PanelContract:
    """Derive features from the data, or as they were derived for the panel that is there."""
    manifest = layout.manifest
    if there is not None and (is_pinned or there.layout_fingerprint == manifest.fingerprint):
        observed, channels, categories = there.observed, there.channels, there.categories
    else:
        observed, channels = observe(layout, study.measure_names), manifest.levels["channel"]
        categories = tuple(name for name, kind in manifest.covariates.items() if kind == "text")
    found = catalogue(study, {"channel": channels}, observed)
    features = typed(found.features, categories)
    return PanelContract(
        study=study.name,
        layout_fingerprint=manifest.fingerprint,
        feature_contract_hash=features_hash(features, study.snapshot.window_days),
        features=features,
        outcomes=("is_churned", "revenue", *(outcome.name for outcome in study.outcomes)),
        data_end=manifest.data_end,
        partitions=(),
        observed=observed,
        channels=channels,
        categories=categories,
        notes=found.notes,
    )


def _partition(contract: PanelContract, cutoff: int, *, is_mature: bool) -> Partition:
    """Describe a partition before it is built: all that its rows depend on."""
    inputs = [contract.layout_fingerprint, contract.feature_contract_hash, cutoff, is_mature]
    fingerprint = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()
    return Partition(cutoff=cutoff, rows=0, is_mature=is_mature, fingerprint=fingerprint)


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.parquet"), key=lambda path: int(path.stem.removeprefix("part-")))


def _settle(store: Path, contract: PanelContract, request: _Request, build: Build) -> PanelInfo:
    """Find out what is there and true, build the rest, and publish unless nothing changes."""
    there = existing_contract(store)
    planned = {
        t: _partition(contract, t, is_mature=t in request.mature)
        for t in {*request.wanted, *(there.cutoffs if there else ())}
    }
    true = {
        p.cutoff: p
        for p in (there.partitions if there else ())
        if p.fingerprint == planned[p.cutoff].fingerprint and _parts(store / PANEL / p.folder)
    }
    targets = sorted({*request.wanted, *(true if request.keeps_others else ())})
    reused = tuple(true[t] for t in targets if t in true)
    new = tuple(planned[t] for t in targets if t not in true)
    info = PanelInfo(contract, tuple(p.cutoff for p in new), tuple(p.cutoff for p in reused))
    if there is not None and not new and there.partitions == reused:
        return replace(info, contract=there)
    return replace(info, contract=_write(store, contract, reused, new, build))


def _write(
    store: Path, contract: PanelContract, reused: tuple[Partition, ...], new: tuple[Partition, ...], build: Build
) -> PanelContract:
    """Link what stays, build what is new, write the contract, swap all in."""
    with staged(store / PANEL) as folder:
        try:
            for partition in (*reused, *new):
                (folder / partition.folder).mkdir()
            for partition in reused:
                _link(store / PANEL / partition.folder, folder / partition.folder)
            build(new, folder)
            built = [p.model_copy(update={"rows": _n_rows(folder / p.folder)}) for p in new]
            partitions = sorted([*reused, *built], key=lambda p: p.cutoff)
            contract = contract.model_copy(update={"partitions": tuple(partitions)})
            contract.write(folder)
        except OSError as fault:
            raise store_error(store / PANEL, fault) from fault
    return contract


def _link(old: Path, new: Path) -> None:
    """Give the files of a partition a second name; copy them where the file system cannot."""
    for path in _parts(old):
        try:
            os.link(path, new / path.name)
        except OSError:
            shutil.copy2(path, new / path.name)


def _n_rows(folder: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in _parts(folder))


def _build(
    study: Study, layout: Layout, contract: PanelContract, new: tuple[Partition, ...], folder: Path, tick: Tick
) -> None:
    """Build partitions bucket by bucket, several buckets side by side."""
    buckets = layout.manifest.buckets if new else 0
    jobs = [_Job(study, layout.root.parent, number, contract, new, folder) for number in range(buckets)]
    total = len(jobs) * len(new)
    if len(jobs) < 2:
        for done, message in enumerate(message for job in jobs for message in _bucket(job)):
            tick(message, done + 1, total)
        return
    with ProcessPoolExecutor(_WORKERS, mp_context=get_context("spawn")) as pool:
        running = [pool.submit(_whole_bucket, job) for job in jobs]
        try:
            for done, one in enumerate(as_completed(running), start=1):
                tick(one.result(), done * len(new), total)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _whole_bucket(job: _Job) -> str:
    """Build all partitions of a bucket; runs in a process of its own."""
    for _ in _bucket(job):
        pass
    return f"customers of bucket {job.bucket + 1}"


def _bucket(job: _Job) -> Iterator[str]:
    """Build the partitions of a bucket one after the other, and say which is done."""
    found = catalogue(job.study, {"channel": job.contract.channels}, job.contract.observed)
    rows = BucketRows(job.study, found, open_layout(job.store).bucket(job.bucket))
    for partition in job.partitions:
        table = rows.at(partition.cutoff, is_mature=partition.is_mature)
        _write_part(table, job.folder / partition.folder, job.bucket)
        yield f"cutoff {iso(partition.cutoff)}"


def _build_flat(
    table: FlatTable, contract: PanelContract, waves: Mapping[int, str], new: tuple[Partition, ...], folder: Path
) -> None:
    for partition in new:
        _write_part(flat_rows(table, contract, partition.cutoff, waves[partition.cutoff]), folder / partition.folder, 0)


def _write_part(table: pa.Table, folder: Path, number: int) -> None:
    """Write rows; equal tables give equal bytes."""
    pq.write_table(
        table, folder / f"part-{number}.parquet", compression="zstd", compression_level=1, row_group_size=131_072
    )
