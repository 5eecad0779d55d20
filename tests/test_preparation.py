import numpy as np
import pandas as pd
import pytest

from features.measures import Feature
from models.preparation import columns_of, inputs, linear_preparation, tree_preparation, usable


def feature(name: str, kind: str = "number", role: str = "experience") -> Feature:
    return Feature(name, name, "min", "lower", "journey", "support", "wait", role, kind)


FEATURES = (
    feature("wait"),
    feature("tenure", role="covariate"),
    feature("empty"),
    feature("constant"),
    feature("sometimes"),
    feature("plan", "category"),
    feature("country", "category"),
)


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 400
    return pd.DataFrame(
        {
            "wait": np.where(rng.random(n) < 0.2, np.nan, rng.exponential(5, n)),
            "tenure": rng.integers(0, 900, n),
            "empty": np.nan,
            "constant": 3.0,
            "sometimes": np.where(rng.random(n) < 0.5, np.nan, 1.0),
            "plan": pd.Categorical(rng.choice(["basic", "plüs", None], n)),
            "country": "NL",
        }
    )


def test_numbers_become_floats_and_categories_text_with_missing_kept(frame):
    frame.loc[0, "wait"] = np.inf
    table = inputs(frame, FEATURES)
    assert list(table) == [one.name for one in FEATURES]
    assert np.isnan(table.loc[0, "wait"])
    assert table["tenure"].dtype == np.float64
    assert set(table["plan"].dropna()) == {"basic", "plüs"}
    assert table["plan"].isna().sum() == frame["plan"].isna().sum()


def test_columns_that_tell_nothing_are_left_out_and_missingness_counts_as_telling(frame):
    kept = usable(inputs(frame, FEATURES), FEATURES)
    assert [one.name for one in kept] == ["wait", "tenure", "sometimes", "plan"]


def test_every_output_column_of_a_linear_preparation_belongs_to_its_feature(frame):
    kept = usable(inputs(frame, FEATURES), FEATURES)
    table = inputs(frame, kept)
    prepare = linear_preparation(table, kept, with_splines=True, with_amounts=True)
    matrix = prepare.fit_transform(table)
    owners = np.array(columns_of(prepare))
    assert matrix.shape == (400, len(owners))
    for name in table:
        changed = table.copy()
        changed[name] = table[name].to_numpy()[::-1]
        moved = np.abs(prepare.transform(changed) - matrix).max(axis=0) > 0
        assert set(owners[moved]) == {name}


def test_rare_categories_share_a_column_and_unseen_ones_are_accepted(frame):
    frame["plan"] = np.where(np.arange(400) < 5, "rare", np.where(np.arange(400) % 2, "a", "b"))
    kept = (feature("plan", "category"),)
    prepare = linear_preparation(inputs(frame, kept), kept, with_splines=False).fit(inputs(frame, kept))
    assert columns_of(prepare) == ("plan",) * 3
    unseen = inputs(pd.DataFrame({"plan": ["new", None]}), kept)
    assert np.isfinite(prepare.transform(unseen)).all()


def test_a_tree_preparation_keeps_missing_values_and_numbers_categories(frame):
    kept = usable(inputs(frame, FEATURES), FEATURES)
    prepare = tree_preparation(kept)
    matrix = prepare.fit_transform(inputs(frame, kept))
    assert columns_of(prepare) == ("wait", "tenure", "sometimes", "plan")
    assert np.isnan(matrix[:, 0]).sum() == frame["wait"].isna().sum()
    unseen = prepare.transform(inputs(frame.head(1).assign(plan="new"), kept))
    assert np.isnan(unseen[0, 3])


def test_an_extreme_value_moves_a_bent_number_little(frame):
    kept = (feature("wait"),)
    table = inputs(frame, kept)
    prepare = linear_preparation(table, kept, with_splines=False).fit(table)
    extreme = prepare.transform(pd.DataFrame({"wait": [1e6]}))[0, 0]
    assert extreme < 15
