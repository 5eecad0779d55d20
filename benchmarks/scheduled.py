"""What a scheduled run costs before it does anything: imports, Prefect, MLflow. The aim: under 15 s on two idle cores.

    python -m benchmarks.scheduled --study STUDY     # a study with champions, whose panel is up to date

On the study everything is up to date and small, so nearly all of the time is fixed cost. Each line is a process of its
own, wall clock and processor time (with its children), the median of three. On a busy machine read processor time.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from urllib.request import Request, urlopen

from flows.prefect_server import running

ROOT = Path(__file__).parents[1]
AIM_S = 15.0


def measured(command: Sequence[str], more: Mapping[str, str]) -> tuple[float, float]:
    """Run a command; seconds of wall clock and of processors, its children with it."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=os.environ | dict(more), check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, spent


def shown(what: str, times: Sequence[tuple[float, float]]) -> float:
    wall, spent = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{what:<58} {wall:6.1f} s, of processors {spent:5.1f} s")
    return wall


def asked(api: str, path: str, content: object) -> object:
    data = json.dumps(content).encode()
    with urlopen(Request(f"{api}{path}", data, {"Content-Type": "application/json"})) as found:  # noqa: S310
        return json.loads(found.read())


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--study", type=Path, required=True)
    options.add_argument("--times", type=int, default=3)
    options.add_argument("--port", type=int, default=4377)
    given = options.parse_args()
    study, python = str(given.study.resolve()), sys.executable
    base = {"PYTHONPATH": str(ROOT), "DO_NOT_TRACK": "true"}
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {load:.1f} before it began")
    for what, command in (
        ("import prefect", [python, "-c", "import prefect"]),
        ("import all that scoring needs", [python, "-c", "import flows.score"]),
        ("journeylift score, without a server", [python, "-m", "flows.cli", "score", "--study", study]),
    ):
        measured(command, base)
        shown(what, [measured(command, base) for _ in range(given.times)])
    with tempfile.TemporaryDirectory() as scratch, running(Path(scratch), port=given.port) as server:
        more = base | {"PREFECT_API_URL": server.api}
        command = [python, "-m", "flows.cli", "serve", "--once", "--study", study]
        measured(command, more)
        shown("journeylift serve --once, with a server that is there", [measured(command, more)])
        runs = asked(server.api, "/flow_runs/filter", {"sort": "START_TIME_DESC"})
        assert isinstance(runs, list)
        (whole,) = [run for run in runs if run["deployment_id"] and run["state_type"] == "COMPLETED"][:1]
        until_begun = _seconds(whole["created"], whole["start_time"])
        print(f"  of that: from asked for to begun {until_begun:.1f} s, the run itself {whole['total_run_time']:.1f} s")
    if load < 1.0:
        print(f"under {AIM_S:.0f} s: {'yes' if until_begun + whole['total_run_time'] < AIM_S else 'no'}")


def _seconds(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


if __name__ == "__main__":
    main()
