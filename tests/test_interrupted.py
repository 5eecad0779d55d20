from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.measures import Feature
from features.snapshot import DAY
from flows.interrupted import Remembered, remembered
from models.churn import evaluate_churn
from models.evaluation import Evaluation
from models.splits import rolling_origin

FEATURES = (
    Feature("wait", "wait", "min", "lower", "journey", "support", "wait", "experience"),
    Feature("plan", "plan", "", "none", "customer", None, None, "covariate", "category"),
)


def _panel() -> pd.DataFrame:
    rng, n = np.random.default_rng(1), 4_000
    frame = pd.DataFrame({"customer_id": [f"c{i // 5}" for i in range(n)], "wait": rng.gamma(2, 4, n)})
    at = pd.to_datetime(np.tile(np.arange(0, 150, 30), n // 5) * DAY, unit="us", utc=True)
    churned = (rng.random(n) < 1 / (1 + np.exp(3 - 0.15 * frame["wait"]))).astype(float)
    return frame.assign(cutoff=at, plan=rng.choice(["a", "b"], n), weight=1.0, is_mature=True, is_churned=churned)


class _Interrupting:
    """Lets some fits begin and is interrupted then."""

    def __init__(self, after: int) -> None:
        self.after, self.begun = after, 0

    def __call__(self, message: str, done: int = 0, total: int = 0, /) -> None:
        self.begun += 1
        if self.begun > self.after:
            raise KeyboardInterrupt


def _evaluated(memory: Remembered | None, after: int = 10_000) -> Evaluation:
    folds = rolling_origin([day * DAY for day in range(0, 150, 30)], gap_days=0, horizon_days=30, folds=2)
    tick = _Interrupting(after)
    return evaluate_churn(_panel(), FEATURES, folds, np.random.default_rng(2), tick, leaks=(), memory=memory)


def test_an_interrupted_search_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = _evaluated(None)
    kept = Remembered(tmp_path / "kept")
    with pytest.raises(KeyboardInterrupt):
        _evaluated(kept, after=4)
    assert kept.count() == 4
    again = _evaluated(kept)
    pd.testing.assert_frame_equal(again.predictions, whole.predictions)
    pd.testing.assert_frame_equal(again.metrics, whole.metrics)


def test_what_is_kept_is_used_in_place_of_a_fit(tmp_path: Path) -> None:
    kept = Remembered(tmp_path / "kept")
    first = _evaluated(kept)
    for path in (tmp_path / "kept").rglob("*.npy"):
        np.save(path, np.full(len(np.load(path)), 0.25))
    again = _evaluated(kept)
    assert again.predictions["raw"].eq(0.25).all()
    assert not first.predictions["raw"].eq(0.25).all()


def test_a_half_written_or_foreign_file_is_no_prediction(tmp_path: Path) -> None:
    kept = Remembered(tmp_path)
    kept.put("a", np.arange(3.0))
    assert kept.get("a") is not None
    (file,) = tmp_path.glob("*.npy")
    file.write_bytes(file.read_bytes()[:40])
    assert kept.get("a") is None
    assert kept.get("b") is None


def test_other_circumstances_start_anew_and_leave_nothing_behind(tmp_path: Path) -> None:
    first = remembered(tmp_path, {"seed": 1})
    first.about("churn").put("a", np.ones(2))
    assert remembered(tmp_path, {"seed": 1}).count() == 1
    second = remembered(tmp_path, {"seed": 2})
    assert second.count() == 0
    assert not first.folder.exists()
    second.about("churn").put("a", np.ones(2))
    second.forget()
    assert not list(tmp_path.iterdir())
