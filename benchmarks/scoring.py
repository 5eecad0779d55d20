"""How many customers a second are scored from Parquet to Parquet, with reasons, beside bare scikit-learn in memory.

Run: ``python -m benchmarks.scoring --rows 1e6,250e3 --features 150 --folder /tmp/scoring``; with ``--forms
bare,ours,spark`` a local Spark of two cores scores the same files (of its CPU seconds those of Java and of its workers
are not counted). ``--fixed company/study.yaml`` measures the whole command on a small study that was scored before.

A small company is simulated, laid out, and its panel built; a churn model and a revenue model are fitted to it in the
forms that win on the demo (``--churn``, ``--revenue`` choose others). The rows at risk at its last cutoff are copied
under new ids, fractions moved by two per cent so that no value comes twice, until there are as many as wanted.

*bare*: ``predict_proba`` of the one and ``predict`` of the other pipeline on the matrices in memory, threads as
scikit-learn wants; reading and typing are not counted, nor is writing. *ours*: what `journeylift score` does between
the panel's files and a finished Parquet file: reading for the digest that says whether there is anything to do, reading
again, what is typical, both predictions, three reasons in words, sorting by customer, writing, the file's digest.
Each form runs in a process of its own, in turn; imports are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import skops.io

from benchmarks.measured import peak_bytes
from features.company import simulate_company
from features.company_files import write_company
from features.contract import PANEL, PanelContract, Partition, read_contract
from features.layout import lay_out
from features.memory import scoring_threads, within
from features.panel import build_panel, read_panel
from features.panel_batches import BATCH_ROWS, panel_batches, panel_sample
from features.partitions import write_part
from features.sorted_rows import in_order_of
from features.study import Study, parse_study
from flows.score_rows import SAME, SCORE_SCHEMA, LoadedModel, Scorer, needed, score_batches
from flows.score_spark import SparkScorer, panel_on_disk, score_on_spark, spark_session, spark_tables
from flows.score_store import rows_digest, write_rows
from models.churn import fit_churn
from models.evaluation import model_inputs
from models.preparation import STORED_TYPES, inputs, usable
from models.revenue import fit_revenue

BASE_CUSTOMERS = 3_000
MEMORY = "2 GiB"
_PER_PART = 62_500
_OUTCOMES = ("churn", "revenue")


def company(folder: Path, features: int, forms: tuple[str, str]) -> None:
    """Simulate, lay out, build and fit, once; the contract is cut down to as many features as wanted."""
    if (folder / "revenue.skops").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_company(simulate_company(BASE_CUSTOMERS, 3), folder)
    study, store = _study(folder), folder / "store"
    contract = build_panel(study, lay_out(study, folder, store), store).contract
    frame, rng = read_panel(store, contract.matured), np.random.default_rng(1)
    varying = usable(inputs(frame, contract.features), contract.features)
    some = np.linspace(0, len(varying) - 1, min(features, len(varying))).astype(int)
    contract = contract.model_copy(update={"features": tuple(varying[place] for place in some)})
    (folder / "contract.json").write_text(contract.model_dump_json(), "utf-8")
    for outcome, fit, form in zip(_OUTCOMES, (fit_churn, fit_revenue), forms, strict=True):
        skops.io.dump(fit(frame, contract.features, form, rng), folder / f"{outcome}.skops")


def replicas(folder: Path, rows: int) -> Path:
    """Write a panel of one cutoff with so many rows, in parts as a layout of so many customers has them."""
    store = folder / f"replicas-{rows}"
    if (store / PANEL / "panel.json").exists():
        return store
    contract = PanelContract.model_validate_json((folder / "contract.json").read_bytes())
    last = contract.partitions[-1]
    base = pa.concat_tables(
        pq.read_table(folder / "store" / PANEL / last.part(bucket), partitioning=None)
        for bucket in range(len(last.parts))
    )
    wanted = ["customer_id", "customer_key", "cutoff", *(feature.name for feature in contract.features)]
    base, rng = base.select(wanted).combine_chunks(), np.random.default_rng(2)
    parts = -(-rows // _PER_PART)
    partition = Partition(cutoff=last.cutoff, rows=rows, is_mature=False, parts=("0",) * parts)
    (store / PANEL / partition.folder).mkdir(parents=True)
    for part in range(parts):
        n = min(_PER_PART, rows - part * _PER_PART)
        table = base.take(pa.array(rng.integers(0, base.num_rows, n)))
        width = 2**63 // parts
        keys = np.sort(rng.integers(part * width, (part + 1) * width, n))
        ids = [f"R{one:07d}" for one in rng.permutation(n) + part * _PER_PART]
        table = table.set_column(0, "customer_id", pa.array(ids)).set_column(1, "customer_key", pa.array(keys))
        for place, field in enumerate(table.schema):
            if pa.types.is_floating(field.type):
                values = table[field.name].to_numpy()
                moved = np.where(values == np.rint(values), values, values * (1 + 0.02 * rng.standard_normal(n)))
                table = table.set_column(place, field.name, pa.array(moved, field.type, from_pandas=True))
        write_part(table, store / PANEL / partition.part(part))
    contract.model_copy(update={"partitions": (partition,)}).write(store / PANEL)
    return store


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds on the clock and of all cores since it was made."""

    clock: float
    cpu: float

    @classmethod
    def now(cls) -> Spent:
        """Begin."""
        return cls(time.perf_counter(), time.process_time())

    def since(self) -> Spent:
        """End."""
        return Spent(time.perf_counter() - self.clock, time.process_time() - self.cpu)


def bare(folder: Path, store: Path) -> Spent:
    """Measure both predictions on matrices that are in memory."""
    contract, models = read_contract(store), loaded(folder)
    pieces = list(panel_batches(store, contract, contract.cutoffs[0], needed(contract, models), 131_072))
    frame = pd.concat(pieces, ignore_index=True)
    del pieces
    churn, revenue = (models[outcome].estimator for outcome in _OUTCOMES)
    tables = [model_inputs(list(one.feature_names_in_), frame, contract.features) for one in (churn, revenue)]
    del frame
    started = Spent.now()
    churn.predict_proba(tables[0])
    revenue.predict(tables[1])
    return started.since()


def ours(folder: Path, store: Path) -> Spent:
    """Measure the way from the panel's files to a file of scores."""
    started = Spent.now()
    study, contract, models = _study(folder), read_contract(store), loaded(folder)
    at = contract.cutoffs[0]
    every = [feature.name for feature in contract.features]
    rows_digest(panel_batches(store, contract, at, every), ["customer_id", *every])
    columns = needed(contract, models)
    reference = panel_sample(store, contract, at, columns, is_hashed=True)
    scorer = Scorer.of(study, contract, models, reference)
    threads = scoring_threads(study.engine, MEMORY, BATCH_ROWS * len(columns))
    tables = score_batches(scorer, panel_batches(store, contract, at, columns), threads)
    room = within(study.engine, MEMORY)
    write_rows(store / "scores.parquet", in_order_of("customer_id", tables, SCORE_SCHEMA, store, room, same=SAME))
    return started.since()


def spark(folder: Path, store: Path) -> Spent:
    """Measure the same way with a local Spark of two cores, which is running already."""
    study, contract, models = _study(folder), read_contract(store), loaded(folder)
    session = spark_session("local[2]")
    session.range(10).count()
    started = Spent.now()
    at = contract.cutoffs[0]
    columns = needed(contract, models)
    reference = panel_sample(store, contract, at, columns, is_hashed=True)
    scorer = SparkScorer.of(study, contract, models, reference, STORED_TYPES)
    tables = spark_tables(score_on_spark(panel_on_disk(session, store, contract, at), scorer), store / "scratch")
    with pq.ParquetWriter(store / "scores-spark.parquet", SCORE_SCHEMA, compression="zstd") as writer:
        for table in in_order_of("customer_id", tables, SCORE_SCHEMA, store, within(study.engine, MEMORY), same=SAME):
            writer.write_table(table)
    return started.since()


def loaded(folder: Path) -> dict[str, LoadedModel]:
    """Load both models."""
    return {
        # Written by this benchmark a moment ago.
        outcome: LoadedModel("1", skops.io.load(folder / f"{outcome}.skops", trusted=list(STORED_TYPES)))  # noqa: TID251
        for outcome in _OUTCOMES
    }


def _study(folder: Path) -> Study:
    return parse_study((folder / "study.yaml").read_text("utf-8"), "study.yaml")


FORMS: dict[str, Callable[[Path, Path], Spent]] = {"bare": bare, "ours": ours, "spark": spark}


def measured(form: str, folder: Path, store: Path) -> dict[str, Any]:
    """Run a form in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.scoring",
        "--form",
        form,
        "--folder",
        str(folder),
        "--store",
        str(store),
    ]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    found: dict[str, Any] = json.loads(told)
    return found


def compare(folder: Path, rows: int, repeats: int, forms: Sequence[str]) -> None:
    """Run the forms in turn and print rows a second, memory, and the ratio of each turn."""
    store = replicas(folder, rows)
    for _ in range(repeats):
        found = {form: measured(form, folder, store) for form in forms}
        for form, one in found.items():
            print(
                f"{form:<5} {rows:>9,} rows {one['seconds']:7.1f} s {one['cpu']:7.1f} CPU s "
                f"{rows / one['seconds']:>9,.0f} rows/s  peak {one['peak'] / 2**30:5.2f} GiB  load {one['load']:.1f}"
            )
        first, *others = forms
        for form in others:
            clock, cpu = (found[first][unit] / found[form][unit] for unit in ("seconds", "cpu"))
            print(f"{form} / {first}, rows a second: {clock:.0%} by the clock, {cpu:.0%} by CPU time", flush=True)


def fixed(study: Path) -> None:
    """Print what a whole command costs on a study that was scored before: imports, Prefect, MLflow, and few rows."""
    for _ in range(3):
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "flows.cli", "score", "--study", str(study), "--again"]
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        seconds, load = time.perf_counter() - started, os.getloadavg()[0]
        print(f"journeylift score: {seconds:5.1f} s {cpu:5.1f} CPU s  load {load:.1f}", flush=True)


def main() -> None:
    """Measure, or be one measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1e6,250e3")
    parser.add_argument("--features", type=int, default=150)
    parser.add_argument("--churn", default="logistic")
    parser.add_argument("--revenue", default="boosting")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--folder", type=Path, default=Path("bench-scoring"))
    parser.add_argument("--fixed", type=Path, metavar="STUDY")
    parser.add_argument("--forms", default="bare,ours")
    parser.add_argument("--form", choices=tuple(FORMS))
    parser.add_argument("--store", type=Path)
    given = parser.parse_args()
    if given.form:
        spent = FORMS[given.form](given.folder, given.store)
        told = {"seconds": spent.clock, "cpu": spent.cpu, "peak": peak_bytes(), "load": os.getloadavg()[0]}
        print(json.dumps(told))
        return
    if given.fixed:
        fixed(given.fixed)
        return
    forms = (given.churn, given.revenue)
    folder = given.folder / "-".join((*forms, str(given.features))).replace(" ", "_")
    company(folder, given.features, forms)
    for rows in given.rows.split(","):
        compare(folder, int(float(rows)), given.repeats, given.forms.split(","))


if __name__ == "__main__":
    main()
