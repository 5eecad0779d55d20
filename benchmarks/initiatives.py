"""What a simulation of ten initiatives costs, step by step: seconds, and the most memory held while a step runs.

Run: ``python -m benchmarks.initiatives --sizes 20000,60000,1000000 --folder /tmp/bench``. A company is made and laid
out once; larger ones are its customers over and over under new keys, read from disk each time they are looked at. That
costs what a company of that size costs, but its standard errors mean nothing: copies are not new customers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml

from benchmarks.laid_out import laid_out
from benchmarks.measured import peak_bytes
from features.company import simulate_company
from features.errors import StoreError
from features.layout import Bucket, Layout, open_layout
from features.study import Study, parse_study
from flows.histories import exposures_of, go_lives_of
from models.cash import Cohort
from models.combinations import combine
from models.forecasts import Forecast, ruled, sample
from models.funding import Funding
from models.funding_plan import plan_funding
from models.initiatives import Initiative, refusal
from models.overlaps import estimate_overlaps, pairs_on_a_path
from models.plans_file import parse_plans
from models.policy import policy_effect
from models.prepared import Prepared, prepare
from models.response_surface import ResponseSurface
from models.retention import constant_retention
from models.shared_fits import SharedFits
from models.simulation import worth_of

__all__ = ["Repeated", "Watch", "main", "simulate"]

T = TypeVar("T")

_KEYS = 1 << 63
_TENTH = {
    "name": "second-look-at-bills",
    "changes": [{"journey": "billing", "measure": "bill_error", "convert": 0.3}],
    "reach": 0.5,
    "cost": {"monthly": 500},
}
"""The example holds one initiative that nobody can carry out; this one stands in for it."""


@dataclass(frozen=True, slots=True)
class Repeated:
    """A company's customers over and over, each time under other keys.

    Attributes
    ----------
    layout : Layout
        Of the company.
    times : int
        How often.
    """

    layout: Layout
    times: int

    def buckets(self) -> Iterator[Bucket]:
        """Read them one after the other, keys ascending."""
        for copy in range(self.times):
            for bucket in self.layout.all_buckets():
                yield bucket if self.times == 1 else self._moved(bucket, copy)

    def _moved(self, bucket: Bucket, copy: int) -> Bucket:
        def moved(table: pa.Table) -> pa.Table:
            place = table.column_names.index("customer_key")
            keys = table["customer_key"].to_numpy() // self.times + copy * (_KEYS // self.times)
            return table.set_column(place, "customer_key", pa.array(keys))

        tables = {name: moved(getattr(bucket, name)) for name in ("touchpoints", "customers", "revenue", "churn")}
        return replace(bucket, **tables)


@dataclass(slots=True)
class Watch:
    """Seconds and largest memory of steps of this process."""

    steps: list[dict[str, Any]] = field(default_factory=list)

    def run(self, name: str, work: Callable[[], T]) -> T:
        """Do some work and note what it took."""
        _forget_peak()
        started, busy = time.perf_counter(), time.process_time()
        found = work()
        seconds, cpu = time.perf_counter() - started, time.process_time() - busy
        self.steps.append({"step": name, "seconds": seconds, "cpu": cpu, "peak": peak_bytes()})
        print(f"{name}: {seconds:.2f} s, {peak_bytes() / 1e9:.2f} GB", file=sys.stderr, flush=True)
        return found


def _forget_peak() -> None:
    """Let the high-water mark of memory start at what is held now; Linux only, elsewhere it only rises."""
    marks = Path("/proc/self/clear_refs")
    if marks.exists():
        marks.write_text("5", encoding="ascii")


def simulate(folder: Path, times: int, draws: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run a simulation as the command does; return what its steps took, and its effects."""
    study, layout = _company(folder)
    initiatives = _initiatives(folder, study)
    buckets, watch = Repeated(layout, times).buckets, Watch()
    prepared = watch.run("prepare", lambda: _prepared(study, layout, buckets))
    fits = SharedFits(prepared)
    chosen = [one for one in initiatives if not refusal(one, study, prepared.exposures)]
    forecasts = [watch.run(one.name, lambda one=one: _forecast(fits, one)) for one in chosen]
    pairs = pairs_on_a_path(study, chosen)
    overlaps = watch.run(f"{len(pairs)} pairs", lambda: estimate_overlaps(fits, chosen, pairs))
    judged = watch.run("verdicts", lambda: ruled(forecasts, np.random.default_rng(2)))
    samples = watch.run("draws", lambda: sample(judged, overlaps, np.random.default_rng(3), draws))
    cohort = Cohort(layout.manifest.n_customers * times, study.snapshot.horizon_days)
    known = (cohort, study.money, constant_retention(study.money.months))
    worths = watch.run("Monte Carlo", lambda: [worth_of(one, *known) for one in samples.initiatives])
    together = watch.run("pairs in money", lambda: combine(samples, *known))
    rng = np.random.default_rng(4)
    funding = Funding()
    watch.run("portfolio", lambda: plan_funding(worths, (), together, funding, cohort, study.money, rng))
    surface = ResponseSurface(samples, *known)
    for name, changed, size in _sliders(chosen[0]):
        watch.run(f"slider: {name}", lambda changed=changed, size=size: surface.answer(chosen[0].name, changed, size))
    return watch.steps, [_told(one) for one in judged]


def _company(folder: Path) -> tuple[Study, Layout]:
    study = parse_study((folder / "study.yaml").read_text(encoding="utf-8"), "study.yaml")
    return study, open_layout(folder / "store")


def _initiatives(folder: Path, study: Study) -> tuple[Initiative, ...]:
    content = yaml.safe_load((folder / "initiatives.yaml").read_text(encoding="utf-8"))
    content["initiatives"].append(_TENTH)
    return parse_plans(yaml.safe_dump(content), "initiatives.yaml", study).initiatives


def _prepared(study: Study, layout: Layout, buckets: Callable[[], Iterator[Bucket]]) -> Prepared:
    found = layout.manifest
    return prepare(
        study, buckets, go_lives_of(study, found), (found.data_start, found.data_end), np.random.default_rng([0, 10]),
        exposures=exposures_of(study, found),
    )  # fmt: skip


def _forecast(fits: SharedFits, one: Initiative) -> Forecast:
    policy = policy_effect(fits, one, sizes=(0.5,))
    shares = (policy.support_share, policy.reached_share, policy.contacts_per_month)
    return Forecast(one, policy.effect, *shares, policy.resized[0], policy.placebo)


def _sliders(one: Initiative) -> list[tuple[str, dict[str, Any], float]]:
    cost = one.cost.model_dump() | {"monthly": 1234.0}
    return [
        ("reach", {"reach": 0.33}, 1.0),
        ("delivery", {"delivery": [0.2, 0.4, 0.7]}, 1.0),
        ("cost", {"cost": cost}, 1.0),
        ("size of the change", {}, 0.6),
    ]


def _told(one: Forecast) -> dict[str, Any]:
    effect = one.effect
    told: dict[str, Any] = {"initiative": one.initiative.name, "customers": effect.customers}
    for name in ("churn", "revenue"):
        told |= {name: getattr(effect, name).value, f"{name}_se": getattr(effect, name).se}
    return told


def make_company(folder: Path, customers: int, seed: int) -> None:
    """Write a company and lay it out, unless the folder has one."""
    try:
        open_layout(folder / "store")
    except (StoreError, OSError):
        folder.mkdir(parents=True, exist_ok=True)
        laid_out(simulate_company(customers, seed), folder)


def main() -> None:
    """Measure each size in a process of its own and print the steps side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="20000,60000", help="customers; multiples of --customers")
    parser.add_argument("--customers", type=int, default=20_000, help="of the company that is repeated")
    parser.add_argument("--draws", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("bench-company"), help="the company, made where it is not")
    parser.add_argument("--json", type=Path, help="where all figures go, effects too")
    parser.add_argument("--times", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.times:
        steps, effects = simulate(given.folder, given.times, given.draws)
        print(json.dumps({"steps": steps, "effects": effects}))
        return
    make_company(given.folder, given.customers, given.seed)
    found = {size: _measured(given, int(size) // given.customers) for size in given.sizes.split(",")}
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")
    with pd.option_context("display.width", 200, "display.max_columns", 20):
        print(_table(found).to_string(float_format=lambda value: f"{value:.2f}"))


def _measured(given: argparse.Namespace, times: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.initiatives", "--times", str(max(times, 1))]
    command += ["--folder", str(given.folder), "--draws", str(given.draws)]
    print(f"{times * given.customers:,} customers", file=sys.stderr, flush=True)
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(run.stdout.splitlines()[-1]))


def _table(found: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Seconds, CPU seconds and GB of each step, sizes side by side; at the bottom all seconds and the largest GB."""
    parts = {}
    for size, one in found.items():
        steps = pd.DataFrame(one["steps"]).set_index("step")
        table = pd.DataFrame({"s": steps["seconds"], "CPU s": steps["cpu"], "peak GB": steps["peak"] / 1e9})
        table.loc["all"] = [table["s"].sum(), table["CPU s"].sum(), table["peak GB"].max()]
        parts[f"{int(size):,}"] = table
    return pd.concat(parts, axis=1)


if __name__ == "__main__":
    main()
