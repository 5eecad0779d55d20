"""How often monitoring raises a false alarm, and what it catches at once: ``python -m benchmarks.monitoring``.

Synthetic companies live undisturbed; for several trainings of each, every later cutoff is looked at as a batch. Then
the last month of one of them is disturbed in the tables, laid out and built anew, and looked at once more.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.company import simulate_company
from features.company_files import write_company
from features.contract import PanelContract
from features.layout import lay_out
from features.manifest import LayoutManifest
from features.panel import build_panel, read_panel
from features.snapshot import iso
from flows.monitor_reference import judged_features, steps_per_window
from flows.monitor_sources import arrived
from flows.storage import open_workspace
from models.alarms import Reason
from models.arrivals import arrivals
from models.batch_rules import arrival_reasons, drift_reasons, moved
from models.counted import Counted, counted, pooled
from models.drift import Design, Profile, Profiler, drift
from models.estimates import wilson_of

TRAINED: Final = (15, 18, 21)
ALPHA: Final = 0.05
PSI: Final = 0.1


@dataclass(frozen=True)
class Built:
    """A company with its panel."""

    contract: PanelContract
    manifest: LayoutManifest
    columns: Mapping[int, Mapping[str, Counted]]
    window: float


def build(folder: Path, cutoffs: tuple[int, ...] | None = None) -> Built:
    """Lay the tables of a company out and build its panel."""
    workspace = open_workspace(folder / "study.yaml")
    layout = lay_out(workspace.study, folder, workspace.store.root)
    contract = build_panel(workspace.study, layout, workspace.store.root, cutoffs=cutoffs).contract
    names = [one.name for one in judged_features(contract.features)]
    columns = {at: counted(read_panel(workspace.store.root, (at,), names), names) for at in contract.cutoffs}
    return Built(contract, layout.manifest, columns, steps_per_window(workspace.study, contract.cutoffs))


def reasons_of(built: Built, trained: int, profiles: list[Profile], batch: Profile, at: int) -> tuple[Reason, ...]:
    """Look at a batch as ``journeylift monitor`` does: features, and what arrived."""
    cutoffs = built.contract.cutoffs
    place = cutoffs.index(at) if at in cutoffs else len(cutoffs) - 1
    found = drift(profiles, batch, Design(place - trained + 1, built.window, 0.5 * ALPHA))
    said = drift_reasons(moved(found, PSI), built.contract.features)
    arriving = arrived(built.manifest, cutoffs[trained - 1], at)
    kept = [one for one in arriving.series if not one.what.startswith("outage ")]  # control: none
    return (*said, *arrival_reasons(arrivals(kept, lag=arriving.lag, alpha=0.4 * ALPHA), arriving.when)[0])


def profiled(built: Built, trained: int) -> tuple[Profiler, list[Profile]]:
    """Describe the cutoffs of a training."""
    reference = [built.columns[at] for at in built.contract.cutoffs[:trained]]
    profiler = Profiler.of(pooled(reference))
    return profiler, [profiler.profile(one) for one in reference]


def undisturbed(built: Built) -> Iterator[tuple[int, int, tuple[Reason, ...]]]:
    """Look at every cutoff that a training has not seen, its outcomes being unknown then."""
    cutoffs = built.contract.cutoffs
    for trained in TRAINED:
        profiler, profiles = profiled(built, trained)
        for at in cutoffs[trained + 2 :]:
            yield trained, at, reasons_of(built, trained, profiles, profiler.profile(built.columns[at]), at)


def _scaled(rows: pd.DataFrame, late: pd.Series) -> pd.DataFrame:
    return rows.assign(wait_min=rows["wait_min"].where(~late, rows["wait_min"] * 60))


def _missing(rows: pd.DataFrame, late: pd.Series) -> pd.DataFrame:
    gone = late & (np.random.default_rng(1).random(len(rows)) < 0.6)
    return rows.assign(wait_min=rows["wait_min"].where(~gone))


def _worse(rows: pd.DataFrame, late: pd.Series) -> pd.DataFrame:
    where = late & rows["process"].astype(str).eq("support")
    wait = rows["wait_min"].where(~where, rows["wait_min"] * 3)
    return rows.assign(wait_min=wait, solved=rows["solved"].where(~where, rows["solved"] * 0))


def _doubled(rows: pd.DataFrame, late: pd.Series) -> pd.DataFrame:
    again = rows[late].assign(
        event_time=lambda frame: frame["event_time"] + pd.Timedelta(minutes=7),
        case_no=lambda frame: frame["case_no"] + 10**7,
    )
    return pd.concat([rows, again], ignore_index=True)


def _silent(rows: pd.DataFrame, late: pd.Series) -> pd.DataFrame:
    return rows[~(late & rows["process"].astype(str).eq("billing"))]


PLANTED: Final[Mapping[str, Callable[[pd.DataFrame, pd.Series], pd.DataFrame]]] = {
    "waits in seconds instead of minutes": _scaled,
    "60 % of waits missing": _missing,
    "waits three times as long, nothing resolved": _worse,
    "every contact twice": _doubled,
    "no touchpoint of billing": _silent,
}
"""What is done to the rows of the last month."""


def disturb(source: Path, folder: Path, change: Callable[[pd.DataFrame, pd.Series], pd.DataFrame], at: int) -> Built:
    """Disturb the last month before a cutoff in the tables, and build that cutoff."""
    folder.mkdir()
    for path in source.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    table = pq.read_table(source / "touchpoints.parquet")
    rows = table.to_pandas()
    end = pd.Timestamp(iso(at), tz="UTC")
    late = pd.to_datetime(rows["event_time"], utc=True).between(end - pd.DateOffset(months=1), end, inclusive="left")
    written = pa.Table.from_pandas(change(rows, late), schema=table.schema, preserve_index=False)
    pq.write_table(written, folder / "touchpoints.parquet")
    return build(folder, (at,))


def main() -> None:
    """Measure both, and print them as tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first-seed", type=int, default=11)
    asked = parser.parse_args()
    batches = alarms = 0
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
            folder = Path(scratch) / f"company-{seed}"
            write_company(simulate_company(asked.customers, seed), folder)
            built = build(folder)
            for trained, at, said in undisturbed(built):
                batches, alarms = batches + 1, alarms + bool(said)
                for reason in said:
                    print(f"seed {seed}, trained on {trained} cutoffs, {iso(at)}: {reason.verdict}: {reason.text}")
        lo, hi = wilson_of(alarms / batches, batches)
        print(f"false alarms: {alarms} of {batches} undisturbed batches, {alarms / batches:.1%} ({lo:.1%} to {hi:.1%})")
        at = built.contract.cutoffs[-1]
        for name, change in PLANTED.items():
            planted = disturb(folder, Path(scratch) / name.replace(" ", "-").replace("%", ""), change, at)
            for trained in TRAINED:
                profiler, profiles = profiled(built, trained)
                whole = Built(built.contract, planted.manifest, built.columns, built.window)
                said = reasons_of(whole, trained, profiles, profiler.profile(planted.columns[at]), at)
                verdicts = ", ".join(sorted({f"{one.verdict} ({one.kind})" for one in said})) or "MISSED"
                print(f"{name}, trained on {trained} cutoffs: {verdicts}")


if __name__ == "__main__":
    main()
