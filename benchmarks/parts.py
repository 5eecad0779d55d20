"""Where the CPU seconds of a build go: one bucket under the profiler, by function.

Run: ``python -m benchmarks.parts --folder /tmp/bench/1000000`` on a folder that `benchmarks.features` has filled.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import tempfile
import time
from pathlib import Path

from benchmarks.ours import build_bucket
from benchmarks.task import Task
from benchmarks.workload import cutoffs

_ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parts", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="of one size: holds store/")
    parser.add_argument("--bucket", type=int, default=0)
    parser.add_argument("--cutoffs", type=int, default=6)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as out:
        task = Task(asked.folder, Path(out), cutoffs(asked.cutoffs), "4GB")
        for cutoff in task.cutoffs:
            (task.out / str(cutoff)).mkdir()
        build_bucket(task, asked.bucket)  # the first run pays for imports and cold files
        profile = cProfile.Profile(time.process_time)
        profile.runcall(build_bucket, task, asked.bucket)
    print(f"load average {os.getloadavg()[0]:.1f}; CPU seconds of bucket {asked.bucket}, {asked.cutoffs} cutoffs")
    print(table(pstats.Stats(profile)))


def table(stats: pstats.Stats) -> str:
    """Lay out functions of ours and what they call outside: calls, CPU seconds with and without what they call."""
    lines = ["| function | calls | with callees | itself |", "|---|---|---|---|"]
    found = stats.get_stats_profile().func_profiles
    for name, one in sorted(found.items(), key=lambda item: -item[1].cumtime):
        if one.cumtime >= 0.02:
            lines.append(f"| {_place(one.file_name)}{name} | {one.ncalls} | {one.cumtime:.2f} | {one.tottime:.2f} |")
    return "\n".join(lines)


def _place(file: str) -> str:
    path = Path(file)
    return f"{path.stem}." if path.is_relative_to(_ROOT) else f"{path.parent.name}/{path.stem}." if path.suffix else ""


if __name__ == "__main__":
    main()
