"""Scores from one pass, in pieces, against scikit-learn's own predictions and the whole."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.company import simulate_company
from features.company_files import write_company
from features.contract import PanelContract
from features.layout import lay_out
from features.panel import build_panel, read_panel
from features.panel_batches import panel_batches, panel_sample
from features.study import Study, parse_study
from flows.score_rows import SCORE_SCHEMA, LoadedModel, Scorer, needed, score_batches, score_rows
from models.calibration import Sigmoid
from models.churn import fit_churn, predict_churn
from models.estimators import calibrated
from models.reasons import reasons
from models.revenue import fit_revenue, predict_revenue

CHURN = ("logistic", "boosting", "additive boosting")
REVENUE = ("ridge", "Tweedie", "two-part", "boosting")


@dataclass(frozen=True, slots=True)
class Fitted:
    """A small company's panel, and every form of the models."""

    store: Path
    study: Study
    contract: PanelContract
    frame: pd.DataFrame
    churn: dict[str, LoadedModel]
    revenue: dict[str, LoadedModel]

    def models(self, churn: str = "logistic", revenue: str | None = "boosting") -> dict[str, LoadedModel]:
        found = {"churn": self.churn[churn]}
        return found if revenue is None else found | {"revenue": self.revenue[revenue]}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    folder = tmp_path_factory.mktemp("company")
    write_company(simulate_company(300, 5, weeks=66), folder)
    study = parse_study((folder / "study.yaml").read_text("utf-8") + "engine: {workers: 1}\n", "study.yaml")
    store = folder / "store"
    contract = build_panel(study, lay_out(study, folder, store, buckets=2), store).contract
    frame = read_panel(store, contract.matured).iloc[:900]
    rng = np.random.default_rng(3)
    churn = {name: fit_churn(frame, contract.features, name, rng) for name in CHURN}
    churn["boosting"] = calibrated(churn["boosting"], Sigmoid(0.2, 0.7))
    revenue = {name: fit_revenue(frame, contract.features, name, rng) for name in REVENUE}
    last = read_panel(store, contract.cutoffs[-1:])
    return Fitted(
        store,
        study,
        contract,
        last,
        {name: LoadedModel("3", model) for name, model in churn.items()},
        {name: LoadedModel("5", model) for name, model in revenue.items()},
    )


@pytest.mark.parametrize("name", CHURN)
def test_risks_are_those_of_predict_proba(fitted: Fitted, name: str) -> None:
    found = score_rows(fitted.study, fitted.contract, fitted.frame, fitted.models(name))
    expected = predict_churn(fitted.churn[name].estimator, fitted.frame, fitted.contract.features)
    np.testing.assert_allclose(found["churn_risk"].to_numpy(), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", REVENUE)
def test_expected_revenue_is_that_of_predict(fitted: Fitted, name: str) -> None:
    found = score_rows(fitted.study, fitted.contract, fitted.frame, fitted.models(revenue=name))
    expected = predict_revenue(fitted.revenue[name].estimator, fitted.frame, fitted.contract.features)
    tolerance = 0 if name == "boosting" else 1e-9
    np.testing.assert_allclose(found["expected_revenue"].to_numpy(), expected, rtol=tolerance)


def test_reasons_are_those_of_the_models_against_the_reference(fitted: Fitted) -> None:
    models = fitted.models("additive boosting")
    some = fitted.frame.iloc[10:40]
    found = Scorer.of(fitted.study, fitted.contract, models, fitted.frame).score(some)
    expected = reasons(models["churn"].estimator, some, fitted.contract.features, reference=fitted.frame)
    assert [found[f"reason_{place}"].to_pylist() for place in (1, 2, 3)] == [
        expected[name].tolist() for name in expected
    ]
    assert (expected["reason_1"] != "").any()


@pytest.mark.parametrize(("churn", "revenue"), [("logistic", "boosting"), ("boosting", "ridge"), ("logistic", None)])
def test_pieces_threads_and_buckets_change_no_bit(fitted: Fitted, churn: str, revenue: str | None) -> None:
    models, at = fitted.models(churn, revenue), fitted.contract.cutoffs[-1]
    columns = needed(fitted.contract, models)
    reference = panel_sample(fitted.store, fitted.contract, at, columns, is_hashed=True)
    scorer = Scorer.of(fitted.study, fitted.contract, models, reference)

    def scored(rows: int, workers: int) -> pa.Table:
        pieces = panel_batches(fitted.store, fitted.contract, at, columns, rows)
        return pa.concat_tables(score_batches(scorer, pieces, workers)).combine_chunks()

    whole = scored(100_000, 1)
    assert whole.schema == SCORE_SCHEMA
    assert whole.num_rows == len(fitted.frame)
    assert scored(7, 3).equals(whole)
    frame = fitted.frame.sort_values("customer_key").reset_index(drop=True)
    assert score_rows(fitted.study, fitted.contract, frame, models).equals(whole)


def test_who_is_in_the_same_piece_says_nothing(fitted: Fitted) -> None:
    models = fitted.models("additive boosting", "two-part")
    scorer = Scorer.of(fitted.study, fitted.contract, models, fitted.frame)
    whole = scorer.score(fitted.frame)
    alone = scorer.score(fitted.frame.iloc[[17]])
    for name in ("customer_id", "reason_1", "reason_2", "reason_3"):
        assert alone[name].to_pylist() == whole[name].to_pylist()[17:18]


def test_versions_are_those_that_scored_and_no_rows_give_no_scores(fitted: Fitted) -> None:
    found = score_rows(fitted.study, fitted.contract, fitted.frame, fitted.models(revenue=None))
    assert found["churn_model_version"].unique().to_pylist() == ["3"]
    assert found["revenue_model_version"].null_count == found["expected_revenue"].null_count == found.num_rows
    empty = score_rows(fitted.study, fitted.contract, fitted.frame.head(0), fitted.models())
    assert (empty.num_rows, empty.schema) == (0, SCORE_SCHEMA)
