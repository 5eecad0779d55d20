"""Everything on a made-up company: features, models, drivers, initiatives, scores and a report."""

import sys
import time
from pathlib import Path
from shlex import quote
from shutil import which

from flows import console
from flows.build_features import build_features
from flows.explain import explain
from flows.portfolio import portfolio
from flows.results import report
from flows.score import score
from flows.simulate import simulate
from flows.steps import flow
from flows.storage import Workspace, open_workspace
from flows.train import train

__all__ = ["demo"]


@flow(name="demo")
def demo(study_file: str, *, seed: int = 0) -> None:
    """Run every flow on a study, one after the other, and say where everything is.

    Parameters
    ----------
    study_file : str
        The study, with ``initiatives.yaml`` beside it.
    seed : int
        Seed of everything random.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    build_features(study_file)
    train(study_file, seed=seed)
    explain(study_file, seed=seed)
    simulate(study_file, seed=seed)
    portfolio(study_file)
    score(study_file)
    page = workspace.base / "report.html"
    report(study_file, out=str(page))
    seconds = time.perf_counter() - started
    closing = console.Closing("demo", f"study {workspace.study.name}", "7 results", seconds, str(workspace.base))
    console.say(closing.line())
    _guide(workspace, page, seed)


def _guide(workspace: Workspace, page: Path, seed: int) -> None:
    """Say where everything is and what to try next."""
    store, shown = workspace.store, quote(_near(workspace.study_file))
    rows = {
        "report": page,
        "scores": store.scores,
        "panel": store.panel,
        "results as JSON": store.result("train").parent,
        "runs and models": store.mlflow,
    }
    console.say("\nWhere everything is")
    for name, path in rows.items():
        console.say(f"  {name:<16} {_near(path)}")
    database = quote(f"sqlite:///{store.mlflow / 'mlflow.db'}")
    console.say("\nTry next")
    console.say(f"  {_program('journeylift')} simulate --study {shown} --seed {seed} --json -")
    console.say(f"  {_program('journeylift')} check --study {shown}")
    console.say(f"  {_program('mlflow')} ui --backend-store-uri {database}")


def _program(name: str) -> str:
    """Name a command so that it can be typed: by its path when its environment is not on the search path."""
    beside = Path(sys.executable).with_name(name)
    return name if which(name) or not beside.is_file() else quote(_near(beside))


def _near(path: Path) -> str:
    """Shorten a path that lies below the working folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
