"""The feature engine measured against rivals that compute the same features, and against what nothing can avoid.

Run: ``python -m benchmarks.features --sizes 1e6,20e6 --rivals all --folder /tmp/bench --json bench.json``. The files of
a size stay in the folder; benchmarks/README.md says what each form is, what the rivals need, how to read the output.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.agreement import compare
from benchmarks.figures import Checked, Record, Results, report
from benchmarks.measured import Measurement, written
from benchmarks.task import Task, feature_columns
from benchmarks.workload import cutoffs, write_workload

__all__ = ["main"]

RIVALS = ("pandas", "polars", "duckdb", "featuretools")

_ROOT = Path(__file__).resolve().parents[1]
_CHECKED_SIZE = 100_000
_SMALL = 2_000_000
"""Up to this size everything is repeated three times by default, and featuretools takes part."""


@dataclass(frozen=True, slots=True)
class Form:
    """One way to do something, and how to start it.

    Attributes
    ----------
    name : str
        As in the tables.
    module, function : str
        What runs.
    cutoffs : int
        How many.
    memory : str
        What DuckDB may use in it.
    python : str
        The interpreter.
    makes : str
        What it leaves for other forms, beside its figures; empty for nothing.
    rival : str
        The rival that it is; empty if it is none.
    once : bool
        Not worth repeating.
    """

    name: str
    module: str
    function: str
    cutoffs: int
    memory: str
    python: str = sys.executable
    makes: str = ""
    rival: str = ""
    once: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is asked for; return 1 if a rival does not agree with the engine."""
    asked = _arguments(arguments)
    results = Results.read(asked.json) if asked.resume and asked.json.is_file() else Results(_machine())
    benchmark = Benchmark(asked, results)
    try:
        benchmark.check_rivals()
        for size in sorted(asked.sizes):
            benchmark.measure(size)
    except DisagreementError as fault:
        print(fault, file=sys.stderr)
        return 1
    print(report(results))
    return 0


class DisagreementError(Exception):
    """A rival has computed something else."""


class Benchmark:
    """Runs forms size by size and keeps what was measured.

    Parameters
    ----------
    asked : argparse.Namespace
        The command line.
    results : Results
        Grows.
    """

    def __init__(self, asked: argparse.Namespace, results: Results) -> None:
        self._asked, self._results = asked, results

    def check_rivals(self) -> None:
        """Hold every rival against the engine, row by row, before anything is measured."""
        forms = [form for form in self._forms(_CHECKED_SIZE) if form.rival not in {"", "featuretools"}]
        if all(self._results.is_checked(_CHECKED_SIZE, form.name) for form in forms):
            return
        folder = self._prepared(_CHECKED_SIZE)
        for form in (self._engine(), *forms):
            measured = self._run(form, folder)
            if isinstance(measured, str):
                raise DisagreementError(f"{form.name} failed: {measured}")
            if form.rival:
                self._compare(_CHECKED_SIZE, form, folder, sampled_rows=1_000_000)

    def measure(self, size: int) -> None:
        """Measure all forms at one size, repeat after repeat, so that a busy minute meets all of them."""
        folder = self._prepared(size)
        repeats = self._asked.repeats or (3 if size <= _SMALL else 1)
        for repeat in range(repeats):
            for form in self._forms(size):
                if not (self._results.has(size, form.name, repeat) or (form.once and repeat)):
                    self._measure(size, form, folder, repeat)
        shutil.rmtree(folder / "out", ignore_errors=True)
        if self._asked.clean:
            shutil.rmtree(folder)

    def _measure(self, size: int, form: Form, folder: Path, repeat: int) -> None:
        found = self._reason_to_skip(size, form) or self._run(form, folder)
        touchpoints = _touchpoints(folder)
        record = Record(size, touchpoints, form.name, form.cutoffs, repeat, None)
        record = replace(record, fault=found) if isinstance(found, str) else replace(record, measured=found)
        self._results.records.append(record)
        self._results.write(self._asked.json)
        print(_line(record), file=sys.stderr, flush=True)
        if record.measured is not None and form.rival not in {"", "featuretools"}:
            self._compare(size, form, folder)

    def _reason_to_skip(self, size: int, form: Form) -> str:
        """Say why a rival is not begun: its memory grows with the rows, and it failed or would not fit."""
        before = [one for one in self._results.records if one.form == form.name and one.size <= size]
        if not form.rival or not before:
            return ""
        last = max(before, key=lambda one: one.size)
        if last.measured is None:
            return f"not begun: at {last.size:,} it did not finish"
        needed = last.measured.peak_bytes / last.size * size / 1e9
        if form.rival in {"pandas", "polars"} and needed > self._asked.memory:
            return f"not begun: about {needed:.0f} GB would be needed, {self._asked.memory} GB are there"
        return ""

    def _run(self, form: Form, folder: Path) -> Measurement | str:
        """Run a form in a process of its own; a text says why it did not finish."""
        out = folder / "out" / form.name
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        task = Task(folder, out, cutoffs(form.cutoffs), form.memory)
        command = [form.python, "-m", "benchmarks.measured", form.module, form.function, written(task)]
        surroundings = os.environ | {"PYTHONPATH": str(_ROOT)}
        try:
            done = subprocess.run(
                command,
                cwd=_ROOT,
                env=surroundings,
                capture_output=True,
                text=True,
                timeout=self._asked.timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            shutil.rmtree(out)
            return f"stopped after {self._asked.timeout} s"
        if done.returncode:
            shutil.rmtree(out)
            return (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1][:300]
        if form.makes:
            _keep(out / form.makes, folder / form.makes)
        if not form.rival and not form.name.startswith("engine"):
            shutil.rmtree(out)
        found = json.loads(done.stdout.strip().splitlines()[-1])
        return Measurement(**found)

    def _compare(self, size: int, form: Form, folder: Path, sampled_rows: int = 20_000) -> None:
        """Hold what a rival has written against what the engine has written, and remove it."""
        ours, theirs = (folder / "out" / name for name in (self._engine().name, form.name))
        if self._results.is_checked(size, form.name):
            return
        if not ours.is_dir():
            self._run(self._engine(), folder)
        found = compare(ours, theirs, feature_columns(), sampled_rows)
        shutil.rmtree(theirs)
        if found.faults:
            shown = "\n  ".join(found.faults[:10])
            raise DisagreementError(f"{form.name} does not agree with the engine at {size:,} touchpoints:\n  {shown}")
        checked = Checked(size, form.name, found.rows, found.columns, found.compared, found.largest)
        self._results.checked.append(checked)
        self._results.write(self._asked.json)

    def _prepared(self, size: int) -> Path:
        """Make sure of the workload, of the sorted touchpoints and of our layout."""
        folder: Path = self._asked.folder / f"{size}"
        write_workload(folder, size, self._asked.seed)
        for form in (self._sort(), self._layout()):
            if not (folder / form.makes).exists():
                found = self._run(form, folder)
                if isinstance(found, str):
                    raise DisagreementError(f"{form.name} failed: {found}")
        return folder

    def _forms(self, size: int) -> list[Form]:
        asked = self._asked
        forms = [Form(name, "benchmarks.floors", name, 1, f"{asked.memory}GB") for name in ("scan", "group")]
        for memory in asked.duckdb_memory:
            forms += [self._sort(memory), self._layout(memory)]
        forms += [self._engine(n) for n in asked.cutoffs]
        forms += [Form("panel", "benchmarks.ours", "panel", asked.cutoffs[0], f"{asked.memory}GB")]
        forms += [self._rival(name) for name in asked.rivals if name != "featuretools"]
        if "featuretools" in asked.rivals and size <= _SMALL:
            chosen = replace(self._rival("featuretools"), cutoffs=1, python=asked.featuretools_python)
            forms += [chosen, replace(chosen, name="featuretools, defaults", function="compute_defaults", once=True)]
        return [form for form in forms if not asked.only or form.name.split(",")[0] in asked.only]

    def _sort(self, memory: str = "") -> Form:
        memory = memory or self._asked.duckdb_memory[0]
        return Form(f"sort, {memory}", "benchmarks.floors", "sort", 1, memory, makes="sorted.parquet")

    def _layout(self, memory: str = "") -> Form:
        memory = memory or self._asked.duckdb_memory[0]
        return Form(f"layout, {memory}", "benchmarks.ours", "lay", 1, memory, makes="store")

    def _engine(self, n: int = 0) -> Form:
        n = n or self._asked.cutoffs[0]
        return Form(f"engine, {n} cutoffs", "benchmarks.ours", "build", n, f"{self._asked.memory}GB")

    def _rival(self, name: str) -> Form:
        asked = self._asked
        return Form(
            name, f"benchmarks.rival_{name}", "compute", asked.cutoffs[0], f"{asked.memory}GB", asked.python, rival=name
        )


def _touchpoints(folder: Path) -> int:
    return int(json.loads((folder / "workload.json").read_text(encoding="utf-8"))["touchpoints"])


def _keep(made: Path, place: Path) -> None:
    """Put what a form has made where the others look for it."""
    if place.is_dir():
        shutil.rmtree(place)
    made.replace(place)


def _line(record: Record) -> str:
    head = f"{record.size:>12,}  {record.form:<20} "
    if record.measured is None:
        return head + record.fault
    measured = record.measured
    figures = f"{measured.seconds:8.2f} s {measured.cpu_seconds:8.2f} CPU s {measured.peak_bytes / 1e9:6.2f} GB"
    return f"{head}{figures}  load {measured.load[0]:.1f}"


def _machine() -> dict[str, str | int]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"cores": os.cpu_count() or 0, "memory GB": round(pages / 1e9), "system": platform.platform(terse=True)}


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    parser.add_argument("--sizes", type=_sizes, default=(1_000_000,), help="touchpoints, such as 1e6,5e6,20e6")
    parser.add_argument("--folder", type=Path, required=True, help="for the workload and everything written")
    parser.add_argument("--json", type=Path, required=True, help="the measurements; written after every run")
    parser.add_argument("--rivals", type=_rivals, default=(), help=f"all, none, or some of {','.join(RIVALS)}")
    parser.add_argument("--cutoffs", type=_sizes, default=(6,), help="for the engine, such as 6,7,12; rivals the first")
    parser.add_argument("--repeats", type=int, default=0, help="by default 3 up to two million touchpoints, else 1")
    parser.add_argument("--memory", type=int, default=16, help="GB that rivals may use")
    parser.add_argument("--duckdb-memory", type=_texts, default=("4GB",), help="for sort and layout, such as 4GB,1GB")
    parser.add_argument("--only", type=_texts, default=(), help="only these forms, such as engine,layout")
    parser.add_argument("--python", default=sys.executable, help="an interpreter with polars, for the rivals")
    parser.add_argument("--featuretools-python", default=sys.executable, help="an interpreter with featuretools")
    parser.add_argument("--timeout", type=int, default=3600, help="seconds after which a run is given up")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from the measurements that are there")
    parser.add_argument("--clean", action="store_true", help="remove the files of a size when it is done")
    return parser.parse_args(arguments)


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(float(part)) for part in text.split(","))


def _texts(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _rivals(text: str) -> tuple[str, ...]:
    chosen = RIVALS if text == "all" else () if text == "none" else _texts(text)
    unknown = sorted(set(chosen) - set(RIVALS))
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: expected all, none or some of {', '.join(RIVALS)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
