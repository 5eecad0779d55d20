"""Our own forms: the layout as the product makes it, and the build from its buckets to Parquet, side by side."""

from __future__ import annotations

import os
import resource
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measured import Work, peak_bytes
from benchmarks.task import Task
from benchmarks.workload import LEVELS, PLAN
from features.engine import features_at
from features.history import History
from features.layout import Bucket, lay_out, open_layout
from features.outcomes import at_risk
from features.panel import build_panel
from features.panel_rows import in_single_precision
from features.partitions import write_in_turn
from features.study import parse_study

__all__ = ["build", "build_bucket", "lay", "panel"]


def lay(task: Task) -> Work:
    """Read, check, sort and cut the workload into buckets, in ``<out>/store``."""
    text = (task.folder / "study.yaml").read_text(encoding="utf-8")
    text += f"engine: {{memory_limit: {task.memory}}}\n"
    layout = lay_out(parse_study(text, "study.yaml"), task.folder, task.out / "store")
    kept = sum(count.kept for count in layout.manifest.rows if count.table == "touchpoints")
    return Work(kept, columns=0)


def build(task: Task) -> Work:
    """Build the features of all cutoffs from the buckets, as `features.panel` does."""
    for cutoff in task.cutoffs:
        (task.out / str(cutoff)).mkdir()
    buckets = open_layout(task.folder / "store").manifest.buckets
    if buckets < 2:
        return Work(rows=build_bucket(task, 0))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        done = list(pool.map(_measured_bucket, [task] * buckets, range(buckets)))
    peaks: dict[int, int] = {}
    for one in done:
        peaks[one.process] = max(peaks.get(one.process, 0), one.peak_bytes)
    return Work(rows=sum(one.rows for one in done), others_peak_bytes=sum(peaks.values()))


def panel(task: Task) -> Work:
    """Build the panel of the workload's study as the product does: its own features, with outcomes."""
    study = parse_study((task.folder / "study.yaml").read_text(encoding="utf-8"), "study.yaml")
    layout = open_layout(task.folder / "store")
    found = build_panel(study, layout, task.out, cutoffs=task.cutoffs)
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    others = study.engine.workers * largest if layout.manifest.buckets > 1 else 0
    return Work(found.rows, len(found.contract.features), others)


@dataclass(frozen=True, slots=True)
class _Done:
    process: int
    rows: int
    peak_bytes: int


def _measured_bucket(task: Task, number: int) -> _Done:
    return _Done(os.getpid(), build_bucket(task, number), peak_bytes())


def build_bucket(task: Task, number: int) -> int:
    """Write the features of one bucket of customers, a folder for each cutoff being there; return how many rows."""
    bucket = open_layout(task.folder / "store").bucket(number)
    history = History(PLAN, bucket.touchpoints)
    tables = (_features(bucket, history, cutoff) for cutoff in task.cutoffs)
    paths = [task.out / str(cutoff) / f"part-{number}.parquet" for cutoff in task.cutoffs]
    return sum(pq.read_metadata(path).num_rows for path in write_in_turn(tables, paths))


def _features(bucket: Bucket, history: History, cutoff: int) -> pa.Table:
    people = bucket.customers.take(pa.array(at_risk(bucket.customers, bucket.churn, cutoff)))
    spine = pa.table({"customer_key": people["customer_key"], "cutoff": np.full(people.num_rows, cutoff)})
    found = in_single_precision(features_at(history, spine, LEVELS))
    moment = found["cutoff"].cast(pa.timestamp("us", tz="UTC"))
    found = found.set_column(found.column_names.index("cutoff"), "cutoff", moment)
    return found.add_column(0, "customer_id", people["customer_id"])
