"""The panel: one row for each customer at risk and cutoff, with features and outcomes, partitioned by cutoff.

Everything is built beside the panel that is there and swapped in at once. Partitions whose inputs have not changed are
linked, not built again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.contract import PANEL, PanelContract, Partition, existing_contract, no_rows, read_contract
from features.digests import BucketDigests
from features.errors import EmptyResultError, StoreError
from features.flat import FlatTable
from features.flat_panel import flat_contract, flat_rows
from features.layout import Layout, open_layout
from features.measures import catalogue, features_hash, typed
from features.panel_rows import BucketRows, observe, recorded_in
from features.partitions import PanelInfo, Plan, Request, settle, write_in_turn, write_part
from features.snapshot import Snapshot, day_end, first_with_history, iso, matured
from features.snapshot import cutoffs as grid_cutoffs
from features.study import Study

__all__ = ["PanelContract", "PanelInfo", "build_panel", "read_contract", "read_panel"]

Tick: TypeAlias = Callable[[str, int, int], None]


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
        Cutoffs wanted, microseconds; partitions that are there stay as well, made true where rows have changed. By
        default exactly those of the study's grid.
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
    The same tables give the same bytes, however often parts were taken over on the way. Memory: one bucket and two
    partitions for each process.
    """
    if isinstance(layout, FlatTable):
        contract, waves = flat_contract(study, layout)
        wanted = tuple(cutoffs or waves)
        request = Request(wanted, frozenset(waves), keeps_others=cutoffs is not None)
        parts = partial(_flat_part, contract)
        return settle(store, contract, request, parts, partial(_build_flat, layout, contract, waves))
    wanted = _wanted(study, layout, cutoffs)
    there = existing_contract(store)
    contract = _contract(study, layout, there, is_pinned=is_pinned)
    candidates = {*wanted, *(there.cutoffs if there else ())}
    mature = frozenset(matured(candidates, study.snapshot, layout.manifest.data_end))
    request = Request(wanted, mature, keeps_others=cutoffs is not None)
    parts = partial(_fingerprints, study, layout, contract, layout.digests())
    return settle(store, contract, request, parts, partial(_build, study, layout, contract, tick))


def read_panel(store: Path, cutoffs: Sequence[int] | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read the rows of a panel.

    Parameters
    ----------
    store : Path
        Where the panel was built.
    cutoffs : sequence of int, optional
        Microseconds; all by default.
    columns : sequence of str, optional
        All by default.

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
        raise no_rows(store, contract, absent)
    try:
        paths = [store / PANEL / one.part(bucket) for one in chosen for bucket in range(len(one.parts))]
        parts = [
            pq.read_table(path, columns=None if columns is None else list(columns), partitioning=None) for path in paths
        ]
        table = pa.concat_tables(parts)
    except (OSError, pa.ArrowException) as fault:
        raise StoreError(
            f"The panel in '{store / PANEL}' is damaged ({fault}). Remove that folder, build again."
        ) from fault
    read = set(table.column_names)
    return _as_frame(table, [one.name for one in contract.features if one.kind == "category" and one.name in read])


def _as_frame(table: pa.Table, categories: Sequence[str]) -> pd.DataFrame:
    """Turn rows into a frame whose categories are sorted, whatever the order of the rows."""
    for place, field in enumerate(table.schema):
        if field.name in categories:
            table = table.set_column(place, field.name, table[field.name].dictionary_encode())
        elif field.type == pa.float32():
            table = table.set_column(place, field.name, table[field.name].cast(pa.float64()))
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
        observed, recorded, categories = there.observed, there.recorded, there.categories
    else:
        observed, recorded = observe(layout, study.measure_names), recorded_in(manifest)
        categories = tuple(name for name, kind in manifest.covariates.items() if kind == "text")
    found = catalogue(study, recorded, observed)
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
        recorded=recorded,
        categories=categories,
        notes=found.notes,
    )


def _fingerprints(
    study: Study,
    layout: Layout,
    contract: PanelContract,
    digests: BucketDigests,
    cutoff: int,
    is_mature: bool,  # noqa: FBT001 (bound by name below)
) -> tuple[str, ...]:
    """Hash, for each bucket, all that its rows at a cutoff depend on."""
    until = Snapshot.of(study.snapshot).matures_at(cutoff) if is_mature else cutoff
    common = [contract.feature_contract_hash, study.panel_fingerprint(), layout.manifest.buckets, cutoff, is_mature]
    return tuple(
        _sha256([*common, number, digests.at(number, cutoff, until)]) for number in range(layout.manifest.buckets)
    )


def _flat_part(contract: PanelContract, cutoff: int, is_mature: bool) -> tuple[str, ...]:  # noqa: FBT001
    return (_sha256([contract.layout_fingerprint, contract.feature_contract_hash, cutoff, is_mature]),)


def _sha256(inputs: list[object]) -> str:
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()


def _build(study: Study, layout: Layout, contract: PanelContract, tick: Tick, plan: Plan, folder: Path) -> None:
    """Build parts bucket by bucket, several buckets side by side."""
    jobs = [
        _Job(study, layout.root.parent, number, contract, missing, folder)
        for number in range(layout.manifest.buckets)
        if (missing := plan.missing(number))
    ]
    total = sum(len(job.partitions) for job in jobs)
    if min(len(jobs), study.resources.workers) < 2:
        for done, message in enumerate(message for job in jobs for message in _bucket(job)):
            tick(message, done + 1, total)
        return
    with ProcessPoolExecutor(min(len(jobs), study.resources.workers), mp_context=get_context("spawn")) as pool:
        running = {pool.submit(_whole_bucket, job): len(job.partitions) for job in jobs}
        done = 0
        try:
            for one in as_completed(running):
                done += running[one]
                tick(one.result(), done, total)
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
    found = catalogue(job.study, job.contract.recorded, job.contract.observed)
    rows = BucketRows(job.study, found, open_layout(job.store).bucket(job.bucket))
    tables = (rows.at(partition.cutoff, is_mature=partition.is_mature) for partition in job.partitions)
    paths = [job.folder / partition.part(job.bucket) for partition in job.partitions]
    for partition, _ in zip(job.partitions, write_in_turn(tables, paths), strict=True):
        yield f"cutoff {iso(partition.cutoff)}"


def _build_flat(table: FlatTable, contract: PanelContract, waves: Mapping[int, str], plan: Plan, folder: Path) -> None:
    for partition in plan.missing(0):
        write_part(flat_rows(table, contract, partition.cutoff, waves[partition.cutoff]), folder / partition.part(0))
