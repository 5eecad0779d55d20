"""Ranking from the panel's files: the same as from rows in memory, for every outcome, and unanswered ratings by EM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.contract import PanelContract, read_contract
from features.errors import StoreError
from features.flat import read_flat
from features.panel import build_panel, read_panel
from features.panel_moments import panel_moments
from flows.driver_ranking import Ranking, rank_drivers
from flows.storage import Workspace, open_workspace
from models.drivers import drivers_from_features
from models.importance import association
from models.reach import whole_journeys

STUDY = """
study: survey
sources: {{t: t.parquet}}
journeys: [{{name: stay, stage: use}}, {{name: leave, stage: end}}]
measures:
  - {{name: room, unit: points, kind: rating, direction: higher, range: [1, 5], journey: stay, missing: {missing}}}
  - {{name: noise, unit: points, kind: rating, direction: lower, range: [0, 10], journey: stay, missing: {missing}}}
  - {{name: wait, unit: min, kind: duration, direction: lower, journey: leave}}
flat:
  {{from: t, columns: {{customer_id: id}}, churned: left, weight: weight, wave: year, outcomes: {{overall: overall}}}}
"""


def answers(n: int = 1_200) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    room, noise = rng.integers(1, 6, n).astype(float), rng.integers(0, 11, n).astype(float)
    wait = rng.gamma(2, 5, n) + noise
    overall = 3 + 0.5 * room - 0.1 * noise - 0.02 * wait + rng.normal(0, 0.5, n)
    left = (rng.random(n) < 1 / (1 + np.exp(1.5 + 0.6 * (room - 3)))).astype(int)
    noise[rng.random(n) < 1 / (1 + np.exp(4 - overall))] = np.nan
    overall[rng.random(n) < 0.1] = np.nan
    table = {"id": [f"c{i}" for i in range(n)], "room": room, "noise": noise, "wait": wait, "overall": overall}
    weight, year = rng.uniform(0.5, 2, n), rng.choice(["2024", "2025"], n)
    return pd.DataFrame({**table, "left": left, "weight": weight, "year": year})


def panel_of(folder: Path, missing: str) -> tuple[Workspace, PanelContract, pd.DataFrame]:
    answers().to_parquet(folder / "t.parquet", index=False)
    (folder / "study.yaml").write_text(STUDY.format(missing=missing), encoding="utf-8")
    workspace = open_workspace(folder / "study.yaml")
    build_panel(workspace.study, read_flat(workspace.study, folder), workspace.store.root)
    return workspace, read_contract(workspace.store.root), read_panel(workspace.store.root)


@pytest.fixture(scope="module", params=["not_applicable", "not_answered"])
def ranked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Ranking]:
    workspace, contract, panel = panel_of(tmp_path_factory.mktemp("ranking"), request.param)
    return request.param, rank_drivers(workspace, contract, panel, 0)


def test_files_give_the_shares_of_rows_in_memory(tmp_path: Path) -> None:
    workspace, contract, panel = panel_of(tmp_path, "not_applicable")
    found = rank_drivers(workspace, contract, panel, 0).shares
    drivers = drivers_from_features(contract.features, panel)
    for number, column in ((0, "is_churned"), (2, "overall")):
        one = association(
            panel.sample(frac=1, random_state=1), drivers, column, weight="weight",
            rng=np.random.default_rng([0, 10 + number]), customer="replica_group",
        ).to_frame()  # fmt: skip
        own = found[found["outcome"] == one["outcome"].iloc[0]].reset_index(drop=True)
        assert list(own["feature"]) == list(one["feature"])
        for name in ("share", "share_lo", "share_hi", "quality", "alone_r2", "last_r2", "r2", "n"):
            np.testing.assert_allclose(own[name], one[name], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(own["p_value"], one["p_value"], rtol=1e-6)


def test_files_give_whole_journeys_what_rows_in_memory_give(tmp_path: Path) -> None:
    workspace, contract, panel = panel_of(tmp_path, "not_applicable")
    found = rank_drivers(workspace, contract, panel, 0).journeys
    whole = whole_journeys(drivers_from_features(contract.features, panel))
    for number, column in enumerate(("is_churned", "overall")):
        one = association(
            panel, whole, column, weight="weight", rng=np.random.default_rng([0, 30 + number]), customer="replica_group"
        ).to_frame()
        own = found[found["outcome"] == one["outcome"].iloc[0]]
        assert list(own["journey"]) == list(one["journey"])
        for name in ("share", "share_lo", "share_hi", "n"):
            np.testing.assert_allclose(own[name], one[name], rtol=1e-9, atol=1e-12)


def test_every_known_outcome_is_ranked_and_tested(ranked: tuple[str, Ranking]) -> None:
    _, found = ranked
    assert found.refusals == ()
    assert found.notes == ()
    shares = found.shares.set_index(["outcome", "feature"])
    assert set(found.shares["outcome"]) == {"churn", "overall"}
    room = [name for name in found.shares["feature"] if "room" in name][0]  # noqa: RUF015
    assert shares.loc[("churn", room), "p_adjusted"] < 0.001
    assert (shares["p_adjusted"] >= shares["p_value"]).all()


def test_only_unanswered_ratings_are_estimated(ranked: tuple[str, Ranking]) -> None:
    missing, found = ranked
    is_told = found.shares["warning"].str.contains("did not answer, estimated from all other columns")
    expected = found.shares["feature"].str.contains("noise") & (missing == "not_answered")
    assert is_told.tolist() == expected.tolist()


def test_what_drivers_add_by_number_of_others_begins_alone_and_ends_last(ranked: tuple[str, Ranking]) -> None:
    _, found = ranked
    sizes = found.by_size.pivot_table(index=["outcome", "feature"], columns="others", values="added_r2")
    shares = found.shares.set_index(["outcome", "feature"]).loc[sizes.index]
    assert list(sizes.columns) == [0, 1, 2]
    np.testing.assert_allclose(sizes[0], shares["alone_r2"], atol=1e-12)
    np.testing.assert_allclose(sizes[2], shares["last_r2"], atol=1e-12)


def test_a_damaged_panel_is_one_clear_error(tmp_path: Path) -> None:
    workspace, contract, _ = panel_of(tmp_path, "not_applicable")
    for path in workspace.store.panel.rglob("*.parquet"):
        path.write_bytes(b"nothing")
    with pytest.raises(StoreError, match=r"cannot be read \(.*Remove that folder, build again"):
        panel_moments(workspace.store.root, contract, [contract.features[0].name])
