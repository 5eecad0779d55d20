import numpy as np
import pandas as pd
import pytest

from features.measures import Feature
from models.linear_parts import linear_parts
from models.preparation import columns_of, inputs, linear_preparation


def feature(name: str, role: str = "experience", kind: str = "number") -> Feature:
    return Feature(name, name, "min", "lower", "journey", "support", "wait", role, kind)


FEATURES = (
    feature("wait"),
    feature("plan", kind="category"),
    feature("tenure", role="covariate"),
    feature("contacts", role="volume"),
    feature("sometimes"),
)


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 1000
    frame = pd.DataFrame(
        {
            "wait": np.where(rng.random(n) < 0.2, np.nan, rng.exponential(5, n) ** 3),
            "plan": rng.choice(["basic", "plus", None], n),
            "tenure": np.where(rng.random(n) < 0.1, np.nan, rng.integers(0, 900, n)),
            "contacts": rng.poisson(3, n),
            "sometimes": np.where(rng.random(n) < 0.5, np.nan, 1.0),
        }
    )
    return inputs(frame, FEATURES)


@pytest.mark.parametrize("with_splines", [True, False])
@pytest.mark.parametrize("more", [{}, {"with_amounts": True}, {"with_logarithms": True}])
def test_parts_are_coefficient_times_prepared_column_summed_by_feature(table, with_splines, more):
    prepare = linear_preparation(table, FEATURES, with_splines=with_splines, **more)
    matrix = prepare.fit_transform(table)
    coefficients = np.random.default_rng(1).normal(size=matrix.shape[1])
    owners = np.array(columns_of(prepare))
    found = linear_parts(prepare, coefficients, table)
    for place, name in enumerate(table):
        own = owners == name
        np.testing.assert_allclose(found[:, place], matrix[:, own] @ coefficients[own], atol=1e-10)


@pytest.mark.parametrize("names", [["wait", "sometimes"], ["plan"]])
def test_parts_of_numbers_alone_and_of_categories_alone(table, names):
    some = table[names]
    kept = [one for one in FEATURES if one.name in names]
    prepare = linear_preparation(some, kept, with_splines=False)
    matrix = prepare.fit_transform(some)
    coefficients = np.arange(1.0, matrix.shape[1] + 1)
    found = linear_parts(prepare, coefficients, some).sum(axis=1)
    np.testing.assert_allclose(found, matrix @ coefficients, atol=1e-10)


def test_no_rows_have_no_parts(table):
    prepare = linear_preparation(table, FEATURES, with_splines=True).fit(table)
    numbers = table[[name for name in table if name != "plan"]]
    plain = linear_preparation(numbers, [one for one in FEATURES if one.kind == "number"], with_splines=False)
    plain.fit(numbers)
    assert linear_parts(plain, np.ones(len(columns_of(plain))), numbers.head(0)).shape == (0, 4)
    assert linear_parts(prepare, np.ones(len(columns_of(prepare))), table.head(1)).shape == (1, 5)
