"""Driver importance measured: exact shares, journeys, a bootstrap of a million rows, refits; rivals in the same run.

Run: ``python -m benchmarks.driver_importance``; ``--quick`` for small sizes. One process, one thread. Every form takes
part in every repeat, so that a busy moment does not meet one alone. What is measured is compared first: a difference
ends the run with exit code 1. benchmarks/README.md says how pingouin is installed; without it its rows say so.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from models.dominance import dominance
from models.lattice import lmg, owen
from models.mcfadden import mcfadden
from models.moments import covariance, group_moments

__all__ = ["main"]

FloatArray = NDArray[np.float64]

EXACT = 1e-10
"""Largest difference between answers that should be the same, in shares of the outcome's variance."""

POINTS = 0.002
"""Largest difference of sampled from exact shares: 0.2 percentage points."""

NO_PINGOUIN = "pingouin is not installed: see benchmarks/README.md"


@dataclass(slots=True)
class Form:
    """One way to get an answer.

    Attributes
    ----------
    name : str
        As in the table.
    run : callable
        What is timed.
    once : bool
        Too slow to repeat.
    missing : str
        Why it cannot run; empty if it can.
    seconds, cpu : list of float
        By repeat.
    peak_mb : float
        Largest memory that NumPy and Python held on top of the input, in a run of its own that is not timed.
    """

    name: str
    run: Callable[[], object]
    once: bool = False
    missing: str = ""
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_mb: float = float("nan")


@dataclass(slots=True)
class Task:
    """One question: our form first, then rivals.

    Attributes
    ----------
    name : str
        As in the table.
    forms : list of Form
    check : callable
        Run before anything is timed: the largest difference found; AssertionError where that is not all.
    at_most : float
        Seconds that ours may take in its best repeat; 0 for no such goal.
    times : float
        How many times as long the rival has to take; 0 for no such goal.
    """

    name: str
    forms: list[Form]
    check: Callable[[], float]
    at_most: float = 0.0
    times: float = 0.0


def some_rows(n: int, p: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Draw drivers that correlate, and an outcome of which about half is explained."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p)) @ (np.eye(p) + 0.3 * rng.normal(size=(p, p)))
    signal = X @ rng.normal(size=p)
    return X, signal + signal.std() * rng.normal(size=n)


def singles(p: int) -> list[list[int]]:
    return [[k] for k in range(p)]


def from_rows(X: FloatArray, y: FloatArray) -> FloatArray:
    """Exact LMG from rows, as a rival is given them."""
    return lmg(np.cov(np.column_stack([X, y]).T), singles(X.shape[1]))


def by_pingouin(X: FloatArray, y: FloatArray) -> FloatArray:
    import pingouin  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(pingouin.linear_regression(X, y, relimp=True)["relimp"], dtype=np.float64)[1:]


def by_solving(X: FloatArray, y: FloatArray) -> FloatArray:
    """Solve the normal equations of every subset, then average: what the lattice replaces."""
    C, p = np.cov(np.column_stack([X, y]).T), X.shape[1]
    v = np.zeros(1 << p)
    for size in range(1, p + 1):
        for subset in combinations(range(p), size):
            at = list(subset)
            r2 = C[-1, at] @ np.linalg.solve(C[np.ix_(at, at)], C[at, -1]) / C[-1, -1]
            v[sum(1 << k for k in at)] = r2
    coalition = np.arange(1 << p)
    size = np.bitwise_count(coalition)
    of_size = np.bincount(size)
    shares = np.empty(p)
    for k in range(p):
        without = coalition[coalition >> k & 1 == 0]
        weight = 1.0 / (of_size[size[without]] * (p - size[without]))
        shares[k] = weight @ (v[without | 1 << k] - v[without])
    return shares


def exact_task(n: int, p: int, times: float) -> Task:
    """Exact shares beside pingouin and beside solving every subset."""
    X, y = some_rows(n, p, p)
    missing = "" if importlib.util.find_spec("pingouin") else NO_PINGOUIN
    forms = [Form("exact LMG from rows", partial(from_rows, X, y))]
    forms += [Form("pingouin", partial(by_pingouin, X, y), missing=missing)]
    forms += [Form("every subset solved", partial(by_solving, X, y), once=p > 12)]

    def check() -> float:
        rivals = [by_solving(X, y), *([] if missing else [by_pingouin(X, y)])]
        return max(float(np.abs(from_rows(X, y) - rival).max()) for rival in rivals)

    return Task(f"exact shares, {p} drivers, {n:,} rows", forms, check, times=times)


def large_task(p: int, at_most: float) -> Task:
    """Exact shares from a covariance where no rival is feasible: checked by what refits can tell."""
    X, y = some_rows(5000, p, p)
    C = np.cov(np.column_stack([X, y]).T)

    def check() -> float:
        found = dominance(C, singles(p))
        r2 = [explained(C, [k for k in range(p) if k != out]) for out in range(p)]
        whole = explained(C, list(range(p)))
        return max(
            float(np.abs(found.first - C[-1, :-1] ** 2 / np.diag(C)[:-1] / C[-1, -1]).max()),
            float(np.abs(found.last - (whole - np.array(r2))).max()),
            abs(float(found.general.sum()) - whole),
        )

    form = Form("exact LMG, first, last and by size", partial(dominance, C, singles(p)))
    return Task(f"exact shares, {p} drivers", [form], check, at_most=at_most)


def explained(C: FloatArray, at: list[int]) -> float:
    """R2 of the last column on some others."""
    return float(C[-1, at] @ np.linalg.solve(C[np.ix_(at, at)], C[at, -1]) / C[-1, -1])


def owen_task(journeys: int, each: int, at_most: float) -> Task:
    """Shares of drivers in journeys."""
    p = journeys * each
    X, y = some_rows(5000, p, p)
    C = np.cov(np.column_stack([X, y]).T)
    members = [list(range(each * j, each * (j + 1))) for j in range(journeys)]

    def check() -> float:
        found, whole = owen(C, singles(p), members), lmg(C, members)
        return float(np.abs(found.reshape(journeys, each).sum(axis=1) - whole).max())

    form = Form("exact Owen shares", partial(owen, C, singles(p), members))
    return Task(f"Owen shares, {p} drivers in {journeys} journeys", [form], check, at_most=at_most)


def bootstrap_task(customers: int, p: int, replicates: int, at_most: float) -> Task:
    """From rows in memory to shares of clustered replicates; customers stand in no order."""
    X, y = some_rows(5 * customers, p, p)
    values = np.column_stack([X - X.mean(axis=0), y - y.mean()])
    who = pd.Series(np.random.default_rng(1).permutation(np.repeat(np.arange(customers) * 7919 + 13, 5)))

    def shares() -> FloatArray:
        drawn = group_moments(values, who).resampled(replicates, np.random.default_rng(2))
        return lmg(covariance(drawn), singles(p))

    def check() -> float:
        moments = group_moments(values, who)
        assert moments.n_customers == customers
        together = lmg(covariance(moments.total()), singles(p))
        spread, found = shares().std(axis=0), shares().mean(axis=0)
        assert np.abs(found - together).max() < 5 * spread.max()
        return float(np.abs(together - from_rows(X, y)).max())

    form = Form(f"moments, {replicates} replicates, exact LMG of each", shares)
    return Task(f"{5 * customers:,} rows, {p} drivers, intervals by customer", [form], check, at_most=at_most)


def mcfadden_task(n: int, p: int, times: float) -> Task:
    """Shares of a logistic fit of rare churn on skewed drivers, beside refitting every coalition."""
    rng = np.random.default_rng(p)
    mixed = np.eye(p) + 0.35 * rng.normal(size=(p, p))
    X = np.exp(0.7 * rng.normal(size=(n, p)) @ mixed / np.sqrt((mixed**2).sum(axis=0)))
    score = X @ rng.normal(size=p)
    y = (rng.random(n) < 1 / (1 + np.exp(3.5 - (score - score.mean()) / score.std()))).astype(float)
    sampled = partial(mcfadden, X, y, singles(p), rng=np.random.default_rng(0))

    def every_refit() -> FloatArray:
        return mcfadden(X, y, singles(p), rng=np.random.default_rng(0), refits=1 << p).shares

    def check() -> float:
        exact = every_refit()
        worst = max(
            float(np.abs(mcfadden(X, y, singles(p), rng=np.random.default_rng(seed)).shares - exact).max())
            for seed in range(5)
        )
        assert worst < POINTS, f"shares differ by {100 * worst:.2f} points from those of all refits"
        return worst

    name = f"McFadden shares, {p} drivers, {n:,} rows, {y.mean():.1%} churn"
    forms = [Form("sampled refits", sampled), Form("all coalitions refitted", every_refit, once=True)]
    return Task(name, forms, check, times=times)


def tasks(*, quick: bool) -> Iterator[Task]:
    """Make one task after the other, so that no more than one holds its data."""
    if quick:
        yield exact_task(300, 5, 0.0)
        yield large_task(8, 0.0)
        yield owen_task(3, 2, 0.0)
        yield bootstrap_task(2000, 4, 20, 0.0)
        yield mcfadden_task(800, 7, 0.0)
        return
    yield exact_task(5000, 10, 50.0)
    yield exact_task(5000, 15, 500.0)
    yield large_task(20, 0.06)
    yield large_task(25, 0.8)
    yield owen_task(10, 6, 0.06)
    yield bootstrap_task(200_000, 15, 200, 0.6)
    yield mcfadden_task(3000, 14, 30.0)


def measure(task: Task, repeats: int) -> None:
    """Time all forms, repeat after repeat; then their memory."""
    able = [form for form in task.forms if not form.missing]
    for repeat in range(repeats):
        for form in able:
            if not (form.once and repeat):
                busy, started = time.process_time(), time.perf_counter()
                form.run()
                form.seconds.append(time.perf_counter() - started)
                form.cpu.append(time.process_time() - busy)
    for form in able:
        if not form.once:
            tracemalloc.start()
            form.run()
            form.peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
            tracemalloc.stop()


def rows_of(task: Task, difference: float) -> list[str]:
    """Lay out a task as rows of the table."""
    ours = task.forms[0]
    found = []
    for form in task.forms:
        if form.missing:
            found.append(f"| {task.name} | {form.name} | {form.missing} | | | | | |")
            continue
        of_ours = "" if form is ours else f"{min(form.cpu) / min(ours.cpu):,.0f}"
        times = f"{median(form.seconds):.4f} ({min(form.seconds):.4f}-{max(form.seconds):.4f})"
        memory = "" if np.isnan(form.peak_mb) else f"{form.peak_mb:.1f}"
        apart = f"{difference:.1e}" if form is ours else ""
        cells = [task.name, form.name, times, f"{min(form.cpu):.4f}", of_ours, memory, apart, _goal(task, form)]
        found.append(f"| {' | '.join(cells)} |")
    return found


def _goal(task: Task, form: Form) -> str:
    """Say what was wanted and whether the best repeat has it."""
    ours, rival = task.forms[0], task.forms[1] if len(task.forms) > 1 else None
    if form is ours and task.at_most:
        return f"at most {task.at_most} s: {'met' if min(ours.seconds) <= task.at_most else 'missed'}"
    if form is rival and task.times:
        return f"at least {task.times:.0f} times: {'met' if min(form.cpu) >= task.times * min(ours.cpu) else 'missed'}"
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check and measure everything; return 1 if answers differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small sizes, no goals")
    parser.add_argument("--only", default="", help="a text in the names of the tasks to run")
    parser.add_argument("--json", type=Path, help="where to keep every repeat")
    asked = parser.parse_args(arguments)
    print(f"{os.cpu_count()} cores, NumPy {np.__version__}, one thread, load {os.getloadavg()[0]:.1f}")
    print("| what | form | seconds, median (lowest-highest) | CPU s, lowest | CPU x ours | peak MB | apart | goal |")
    print("|---|---|---|---|---|---|---|---|")
    kept = []
    with threadpool_limits(1):
        for task in (one for one in tasks(quick=asked.quick) if asked.only in one.name):
            difference = task.check()
            if difference > (POINTS if "McFadden" in task.name else EXACT):
                print(f"{task.name}: answers differ by {difference:.1e}", file=sys.stderr)
                return 1
            measure(task, asked.repeats)
            print("\n".join(rows_of(task, difference)), flush=True)
            for form in task.forms:
                times = {"seconds": form.seconds, "cpu": form.cpu, "peak_mb": form.peak_mb}
                kept.append({"task": task.name, "form": form.name, "missing": form.missing} | times)
    if asked.json:
        asked.json.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
