from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pytest

from features.measures import Feature
from features.snapshot import DAY
from models.evaluation import Candidate, Known, Predict, Rows, known_rows, silent
from models.metrics import row_log_loss
from models.search import choose_settings, chosen_setting, out_of_fold, settled
from models.splits import rolling_origin

WAIT = Feature("wait", "wait", "min", "lower", "journey", "support", "wait", "experience")
FOLDS = rolling_origin([day * DAY for day in range(0, 150, 30)], gap_days=0, horizon_days=30, folds=2)


def _known(n: int = 2_000) -> Known:
    rng = np.random.default_rng(1)
    at = pd.to_datetime(np.tile(np.arange(0, 150, 30), n // 5) * DAY, unit="us", utc=True)
    risk = rng.beta(2, 6, n)
    frame = pd.DataFrame({"customer_id": [f"c{i // 5}" for i in range(n)], "cutoff": at, "wait": risk})
    frame = frame.assign(is_churned=(rng.random(n) < risk).astype(float), weight=1.0, is_mature=True)
    return known_rows(frame, (WAIT,), "is_churned")


def _candidate(shifts: dict[str, float], default: str, begun: list[str] | None = None) -> Candidate:
    """Predicts the true risk, moved on the logit by its setting."""

    def moved(rows: Rows, shift: float) -> np.ndarray:
        risk = rows.table["wait"].to_numpy()
        return 1 / (1 + (1 - risk) / risk * np.exp(-shift))

    def learn_each(train: Rows, seed: int, settings: Sequence[str]) -> Iterator[Predict]:
        for setting in settings:
            if begun is not None:
                begun.append(setting)
            yield lambda rows, shift=shifts[setting]: moved(rows, shift)

    def learn(train: Rows, seed: int) -> Predict:
        return next(learn_each(train, seed, [default]))

    return Candidate("moved", "", learn, grid=tuple(shifts), default=default, learn_each=learn_each)


def _searched(candidate: Candidate, n: int = 2_000, **more: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    raw = out_of_fold(_known(n), FOLDS, [candidate], rng=np.random.default_rng(2), max_rows=n, tick=silent, **more)
    return raw, choose_settings(raw, [candidate], row_log_loss)


def test_the_right_setting_is_chosen_when_the_data_can_tell() -> None:
    candidate = _candidate({"far": 3.0, "right": 0.0, "off": -2.0}, "off")
    raw, found = _searched(candidate)
    assert chosen_setting(found, "moved") == "right"
    rows = found.set_index("setting")
    assert list(rows.index) == ["far", "right", "off"]
    assert rows.loc["far", "lo"] > 0
    own = raw[raw["setting"] == "far"]
    assert rows.loc["far", "loss"] == pytest.approx(
        row_log_loss(own["observed"].to_numpy(), own["predicted"].to_numpy()).mean()
    )
    kept = settled(raw, found)
    assert "setting" not in kept
    np.testing.assert_array_equal(kept["predicted"], raw.loc[raw["setting"] == "right", "predicted"])


def test_the_simplest_setting_stays_where_the_data_cannot_tell() -> None:
    candidate = _candidate({"simple": 0.01, "flexible": 0.0}, "flexible")
    _, found = _searched(candidate)
    rows = found.set_index("setting")
    assert rows.loc["simple", "lo"] <= 0
    assert chosen_setting(found, "moved") == "simple"


def test_a_spent_budget_leaves_the_default_and_says_what_was_not_tried() -> None:
    begun: list[str] = []
    candidate = _candidate({"simple": 0.0, "default": 0.5, "flexible": 1.0}, "default", begun)
    raw, found = _searched(candidate, budget_seconds=0.0)
    assert set(begun) == {"default"}
    assert set(raw["setting"]) == {"default"}
    rows = found.set_index("setting")
    assert rows["is_tried"].tolist() == [False, True, False]
    assert rows.loc["simple", "n"] == 0
    assert chosen_setting(found, "moved") == "default"


def test_a_budget_that_is_not_spent_changes_nothing() -> None:
    candidate = _candidate({"simple": 0.0, "default": 0.5}, "default")
    (first, _), (second, _) = _searched(candidate), _searched(candidate, budget_seconds=1e6)
    pd.testing.assert_frame_equal(first, second)


def test_every_setting_of_every_fold_predicts_each_test_row_once() -> None:
    raw, _ = _searched(_candidate({"simple": 0.0, "default": 0.5}, "default"))
    counts = raw.groupby(["fold", "setting"]).size()
    assert len(counts) == 4
    assert counts.eq(400).all()
    assert not raw.duplicated(["customer_id", "cutoff", "setting"]).any()
