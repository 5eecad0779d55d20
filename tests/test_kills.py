"""Every flow is killed at many points of what it writes; the next run ends as if nothing had happened."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
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
            command(stand)
        stand.keep(before)
    stand.set_back(before)


def _other_rows(stand: Stand) -> None:
    """Bring newer tables: some customers change, all else stays."""
    write_tiny(stand.study.parent, customers=170)


def _young(stand: Stand) -> None:
    """Set tables back by two months."""
    write_tiny(stand.study.parent, days=YOUNG)


def _grown(stand: Stand) -> None:
    """Let two months go by."""
    write_tiny(stand.study.parent)


def _bad_month(stand: Stand) -> None:
    """Let two months go by in which those leave who were scored the safest."""
    write_tiny(stand.study.parent, edit="monitoring: {broken_promises: 0.05}\n")
    scores = pd.concat(map(pd.read_parquet, stand.store.glob("scores/cutoff_date=2024-08-01/part-*.parquet")))
    safest = scores.sort_values(["churn_risk", "customer_id"])["customer_id"].head(30)
    _leave(stand.study.parent, safest, "2024-08-29")


def _late_outcomes(stand: Stand) -> None:
    """Let it become known that some have left in August who were taken for customers."""
    touches = pd.read_parquet(stand.study.parent / "touches.parquet")
    _leave(stand.study.parent, sorted(touches.loc[touches["at"] >= "2024-10-10", "id"].unique())[:5], "2024-08-29")


def _leave(folder: Path, ids: Iterable[str], day: str) -> None:
    """Let some customers leave on a day, those who would on that day or later."""
    churn = pd.read_parquet(folder / "churn.parquet")
    others = churn.loc[~(churn["id"].isin(set(ids)))]
    gone = pd.DataFrame({"id": list(ids), "at": pd.Timestamp(day, tz="UTC")})
    pd.concat([others, gone], ignore_index=True).to_parquet(folder / "churn.parquet", index=False)


def _killed_late(stand: Stand) -> None:
    """Kill a training when both its versions are registered and have their aliases."""
    steps = stand.run(TRAIN).steps
    stand.set_back("train")
    step = next(at for at, one in enumerate(steps, 1) if "results/train.json" in one)
    assert stand.run((*TRAIN, "--seed", "1"), fault="kill", step=step).code == -9


IN_A_ROW = 4
"""Kills, one further on than the other, before a run is let through."""

TRAIN = ("train", "--budget", "0")
RETRAIN = ("retrain", "--if-act", "--budget", "0")
YOUNG = 240
"""Days of the tables that the first model learns from: the last cutoff it scores is the first of August."""

BEFORE: dict[str, tuple[str, tuple[str, ...] | Callable[[Stand], None]]] = {
    "features": ("nothing", ("features",)),
    "newer": ("features", _other_rows),
    "train": ("features", TRAIN),
    "score": ("train", ("score",)),
    "simulate": ("train", ("simulate",)),
    "killed": ("train", _killed_late),
    "twice": ("train", (*TRAIN, "--seed", "1")),
    "young": ("nothing", _young),
    "young trained": ("young", TRAIN),
    "young scored": ("young trained", ("score",)),
    "grown": ("young scored", _grown),
    "grown scored": ("grown", ("score",)),
    "watched": ("grown scored", ("monitor",)),
    "late outcomes": ("watched", _late_outcomes),
    "bad month": ("young scored", _bad_month),
    "bad month scored": ("bad month", ("score",)),
    "act": ("bad month scored", ("monitor",)),
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
    "premium": ("train", ("premium",)),
    "report": ("simulate", ("report",)),
    "compare": ("simulate", ("compare", "faster-support", "fewer-outages")),
    "score": ("train", ("score",)),
    "score again": ("score", ("score",)),
    "monitor": ("grown scored", ("monitor",)),
    "monitor again": ("late outcomes", ("monitor",)),
    "retrain": ("grown", ("retrain", "--budget", "0")),
    "retrain, not called for": ("watched", RETRAIN),
    "retrain, called for": ("act", RETRAIN),
    "nightly": ("grown", ("nightly",)),
    "nightly with a retraining": ("bad month", ("nightly",)),
    "models after a killed training": ("killed", ("models",)),
    "rollback": ("twice", ("rollback", "churn", "--to", "1")),
}


@dataclass(frozen=True)
class Undisturbed:
    """What a flow ends in when nothing happens to it, and where it began."""

    stand: Stand
    before: str
    command: Sequence[str]
    new: dict[str, str]
    wanted: object

    def settle(self, ended: Ended, what: str, *, is_last: bool) -> bool:
        """Look at what a kill has left, and begin anew where the flow came to its end or is let through; if it died."""
        assert unreadable(self.stand.store) == [], what
        assert dangling(self.stand.store) == [], what
        has_died = ended.code == -9
        if has_died and not is_last:
            return True
        # What earlier runs have done is kept, so a later one may come to its end before its step.
        last = self.stand.run(self.command) if has_died else ended
        assert last.code == 0, f"{last.said}; {what}"
        assert published(self.stand.store) == self.new, what
        assert registry(self.stand.store) == self.wanted, what
        assert leftovers(self.stand.store) == [], what
        self.stand.set_back(self.before)
        return has_died


def _killed(stand: Stand, flow: str, points: int, seed: int = 0) -> int:
    """Kill a flow again and again, each time further on, until it is let through to its end; give how many died."""
    before, command = FLOWS[flow]
    _ready(stand, before)
    old = published(stand.store)
    whole = stand.run(command)
    assert whole.code == 0, whole.said
    end = Undisturbed(stand, before, command, published(stand.store), registry(stand.store))
    assert registry(stand.store)["open"] == 0
    assert leftovers(stand.store) == []
    rng = np.random.default_rng([seed, *flow.encode()])
    stand.set_back(before)
    reached = 0
    steps = _points(whole, points, rng)
    for number, step in enumerate(steps, 1):
        ended = stand.run(command, fault="kill", step=step)
        what = f"{flow} killed before step {step}, {ended.steps[-1:]}: {ended.said[-1500:]}"
        for name, digest in published(stand.store).items():
            assert digest in {old.get(name), end.new.get(name)}, f"{name} is neither old nor new; {what}"
        assert set(published(stand.store)) >= set(old), what
        reached += end.settle(ended, what, is_last=number % IN_A_ROW == 0 or number == len(steps))
    assert reached >= len(steps) / 2
    moments = rng.uniform(0.1, 0.9, points // 5) * whole.seconds
    for number, seconds in enumerate(moments, 1):
        ended = stand.run(command, fault="kill", seconds=float(seconds))
        what = f"{flow} killed after {seconds:.2f} s, {ended.steps[-1:]}: {ended.said[-1500:]}"
        reached += end.settle(ended, what, is_last=number == len(moments))
    return reached


def _points(whole: Ended, points: int, rng: np.random.Generator) -> list[int]:
    """Draw steps, the last ones rather than the first: there results appear. Files of predictions count as one step."""
    telling = [at for at, step in enumerate(whole.steps, 1) if "training/" not in step]
    return sorted(rng.choice(telling, min(points, len(telling)), replace=False).tolist())


@pytest.mark.slow
@pytest.mark.timeout(7_200)  # on a busy machine: a job whose answer was not waited for would spoil all after it
@pytest.mark.parametrize("flow", FLOWS)
def test_a_flow_killed_at_twenty_points_ends_as_if_it_had_not_been(
    stand: Stand, flow: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("kills", _killed(stand, flow, points=20))


@pytest.mark.parametrize("flow", ["features", "features anew"])
def test_a_flow_killed_at_two_points_ends_as_if_it_had_not_been(stand: Stand, flow: str) -> None:
    _killed(stand, flow, points=2)
