"""Every flow is killed at many points of what it writes; the next run ends as if nothing had happened."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.faulty_runs import Ended, Job, Runs
from tests.store_state import dangling, leftovers, published, registry, unreadable
from tests.tiny import write_tiny

pytestmark = pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork and process groups")


@dataclass(frozen=True)
class Stand:
    """A study whose store can be set back to how it was before a flow."""

    study: Path
    runs: Runs
    kept: Path

    @property
    def store(self) -> Path:
        return self.study.parent / "store"

    def run(self, command: Sequence[str], **fault: object) -> Ended:
        return self.runs.run(Job((*command, "--study", str(self.study)), str(self.store), **fault))

    def keep(self, name: str) -> None:
        shutil.rmtree(self.kept / name, ignore_errors=True)
        shutil.copytree(self.study.parent, self.kept / name, symlinks=True)

    def set_back(self, name: str) -> None:
        """Put all back as it was, with the times of files, by which the product goes."""
        shutil.rmtree(self.study.parent)
        shutil.copytree(self.kept / name, self.study.parent, symlinks=True)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("killed")
    study = write_tiny(folder / "company")
    with Runs(folder / "runs") as runs:
        found = Stand(study, runs, folder / "kept")
        found.keep("nothing")
        yield found


def _ready(stand: Stand, before: str) -> None:
    """Bring the store to where a flow begins, by running all flows before it once."""
    if not (stand.kept / before).exists():
        earlier, command = BEFORE[before]
        _ready(stand, earlier)
        if isinstance(command, tuple):
            ended = stand.run(command)
            assert ended.code == 0, ended.said
        else:
            command(stand.study)
        stand.keep(before)
    stand.set_back(before)


def _other_rows(study: Path) -> None:
    """Bring newer tables: some customers change, all else stays."""
    text = study.read_text(encoding="utf-8")
    write_tiny(study.parent, customers=170)
    study.write_text(text, encoding="utf-8")


IN_A_ROW = 4
"""Kills, one further on than the other, before a run is let through."""

TRAIN = ("train", "--budget", "0")
BEFORE: dict[str, tuple[str, tuple[str, ...] | Callable[[Path], None]]] = {
    "features": ("nothing", ("features",)),
    "newer": ("features", _other_rows),
    "train": ("features", TRAIN),
    "score": ("train", ("score",)),
    "simulate": ("train", ("simulate",)),
}
FLOWS = {
    "features": ("nothing", ("features",)),
    "features anew": ("newer", ("features",)),
    "train": ("features", TRAIN),
    "train again": ("train", (*TRAIN, "--seed", "1")),
    "explain": ("train", ("explain",)),
    "simulate": ("train", ("simulate",)),
    "simulate again": ("simulate", ("simulate", "--seed", "1")),
    "portfolio": ("simulate", ("portfolio",)),
    "score": ("train", ("score",)),
    "score again": ("score", ("score",)),
}


def _killed(stand: Stand, flow: str, points: int, seed: int = 0) -> None:
    """Kill a flow again and again, each time further on, until it is let through to its end."""
    before, command = FLOWS[flow]
    _ready(stand, before)
    old = published(stand.store)
    whole = stand.run(command)
    assert whole.code == 0, whole.said
    new, wanted = published(stand.store), registry(stand.store)
    assert wanted["open"] == 0
    assert leftovers(stand.store) == []
    rng = np.random.default_rng([seed, *flow.encode()])
    stand.set_back(before)
    reached = 0
    for number, step in enumerate(_points(whole, points, rng), 1):
        ended = stand.run(command, fault="kill", step=step)
        what = f"{flow} killed before step {step}, {ended.steps[-1:]}: {ended.said[-1500:]}"
        reached += ended.code == -9
        for name, digest in published(stand.store).items():
            assert digest in {old.get(name), new.get(name)}, f"{name} is neither old nor new; {what}"
        assert set(published(stand.store)) >= set(old), what
        assert unreadable(stand.store) == [], what
        assert dangling(stand.store) == [], what
        # What earlier runs have done is kept: a later one may come to its end before its step.
        if ended.code != -9 or number % IN_A_ROW == 0 or number == points:
            _end(stand, command, new, wanted, what)
            stand.set_back(before)
    assert reached >= points / 2
    for seconds in rng.uniform(0.1, 0.9, points // 5) * whole.seconds:
        ended = stand.run(command, fault="kill", seconds=float(seconds))
        assert unreadable(stand.store) == []
        assert dangling(stand.store) == []
    if points >= 5:
        _end(stand, command, new, wanted, f"{flow} killed at random moments")


def _end(stand: Stand, command: Sequence[str], new: dict[str, str], wanted: object, what: str) -> None:
    """Run the flow to its end: the store is as if nothing had happened."""
    ended = stand.run(command)
    assert ended.code == 0, ended.said
    assert published(stand.store) == new, what
    assert registry(stand.store) == wanted, what
    assert leftovers(stand.store) == [], what


def _points(whole: Ended, points: int, rng: np.random.Generator) -> list[int]:
    """Draw steps, the last ones rather than the first: there results appear. Files of predictions count as one step."""
    telling = [at for at, step in enumerate(whole.steps, 1) if "training/" not in step]
    return sorted(rng.choice(telling, min(points, len(telling)), replace=False).tolist())


@pytest.mark.slow
@pytest.mark.parametrize("flow", FLOWS)
def test_a_flow_killed_at_twenty_points_ends_as_if_it_had_not_been(stand: Stand, flow: str) -> None:
    _killed(stand, flow, points=20)


@pytest.mark.parametrize("flow", ["features", "features anew"])
def test_a_flow_killed_at_two_points_ends_as_if_it_had_not_been(stand: Stand, flow: str) -> None:
    _killed(stand, flow, points=2)
