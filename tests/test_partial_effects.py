import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline

from features.errors import ModelError
from features.measures import Feature
from models.partial_effects import partial_effects
from models.preparation import tree_preparation


def feature(name: str, kind: str = "number") -> Feature:
    return Feature(name, name, "min", "lower", "customer", None, None, "covariate", kind)


FEATURES = (feature("wait"), feature("calls"), feature("noise"), feature("plan", "category"))


def rows(n: int = 3_000) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "wait": rng.gamma(2, 4, n),
            "calls": np.where(rng.random(n) < 0.2, np.nan, rng.poisson(3, n)),
            "noise": rng.normal(size=n),
            "plan": rng.choice(["basic", "plus"], n),
        }
    )


def fitted(model: object, outcome: pd.Series, names: tuple[str, ...] = ("wait", "calls", "noise", "plan")) -> Pipeline:
    used = [one for one in FEATURES if one.name in names]
    table = rows()[[one.name for one in used]]
    return Pipeline([("prepare", tree_preparation(used)), ("model", model)]).fit(table, outcome)


def test_a_line_is_found_again_with_its_slope() -> None:
    frame = rows()
    model = fitted(LinearRegression(), 3 * frame["wait"] + 0.5 * frame["noise"], ("wait", "noise"))
    found = partial_effects(model, frame, FEATURES, np.random.default_rng(2))
    assert list(dict.fromkeys(found["feature"])) == ["wait", "noise"]
    for name, slope in (("wait", 3.0), ("noise", 0.5)):
        curve = found[found["feature"] == name]
        np.testing.assert_allclose(np.diff(curve["predicted"]) / np.diff(curve["value"]), slope)
        assert curve["spread"].iloc[0] == pytest.approx(np.ptp(curve["predicted"]))


def test_the_average_prediction_is_that_of_everybody_with_the_value() -> None:
    frame = rows()
    churned = (frame["wait"] + frame["calls"].fillna(0) > 12).astype(int)
    model = fitted(LogisticRegression(), churned, ("wait", "noise"))
    found = partial_effects(model, frame.iloc[:500], FEATURES, np.random.default_rng(2))
    one = found[found["feature"] == "wait"].iloc[3]
    everybody = frame.iloc[:500][["wait", "noise"]].assign(wait=one["value"])
    assert one["predicted"] == pytest.approx(model.predict_proba(everybody)[:, 1].mean())


def test_missing_values_and_categories_do_no_harm_and_values_are_those_that_are_there() -> None:
    frame = rows()
    model = fitted(HistGradientBoostingRegressor(max_iter=20), frame["calls"].fillna(-1) + (frame["plan"] == "plus"))
    found = partial_effects(model, frame, FEATURES, np.random.default_rng(2))
    assert found["feature"].iloc[0] == "calls"
    assert "plan" not in set(found["feature"])
    assert set(found.loc[found["feature"] == "calls", "value"]) <= set(frame["calls"].dropna())


def test_a_feature_that_hardly_anybody_has_stops_nothing() -> None:
    frame = rows(2_000)
    frame["calls"] = np.where(frame.index % 1_000 < 2, frame.index % 7, np.nan)
    model = Pipeline([("prepare", tree_preparation(FEATURES)), ("model", HistGradientBoostingRegressor(max_iter=5))])
    model.fit(frame[[one.name for one in FEATURES]], frame["wait"])
    found = partial_effects(model, frame, FEATURES, np.random.default_rng(2))
    assert found["feature"].iloc[0] == "wait"


def test_the_same_seed_gives_the_same_curves_and_most_is_the_most() -> None:
    frame = rows()
    model = fitted(HistGradientBoostingRegressor(max_iter=20), frame["wait"] + frame["calls"].fillna(0))
    first, second = (partial_effects(model, frame, FEATURES, np.random.default_rng(3), most=2) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert first["feature"].nunique() == 2


def test_without_a_number_there_is_nothing_to_draw() -> None:
    frame = rows()
    model = fitted(HistGradientBoostingRegressor(max_iter=5), (frame["plan"] == "plus").astype(float), ("plan",))
    found = partial_effects(model, frame, FEATURES, np.random.default_rng(2))
    assert found.empty
    assert list(found) == ["feature", "value", "predicted", "spread"]


def test_a_panel_without_the_feature_is_refused() -> None:
    frame = rows()
    model = fitted(LinearRegression(), frame["wait"], ("wait", "noise"))
    with pytest.raises(ModelError, match="'noise'"):
        partial_effects(model, frame, FEATURES[:2], np.random.default_rng(2))
