import numpy as np
import pandas as pd
import pytest

from features.measures import Feature
from models.identifying import identifying


def category(name: str) -> Feature:
    return Feature(name, name, "", "none", "customer", None, None, "covariate", "category")


def panel(values: list[str | None], cutoffs: int = 3) -> pd.DataFrame:
    ids = [f"c{at}" for at in range(len(values))]
    return pd.DataFrame({"customer_id": ids * cutoffs, "value": values * cutoffs})


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([f"n{at}" for at in range(9)], True),
        ([*(f"n{at}" for at in range(6)), "x", "x", "x", "x"], True),
        ([*(f"n{at}" for at in range(5)), "x", "x", "x", "x", "x"], False),
        (["a", "b"] * 5, False),
        ([None] * 8 + ["a", "b"], True),
        ([None] * 10, False),
    ],
)
def test_values_of_more_than_half_of_the_customers_alone_name_them(values: list[str | None], names: bool) -> None:
    frame = panel(values)
    found = identifying(frame, (category("value"),))
    assert [leak.feature for leak in found] == (["value"] if names else [])
    shuffled = frame.sample(frac=1, random_state=1)
    assert [leak.reason for leak in identifying(shuffled, (category("value"),))] == [leak.reason for leak in found]


def test_the_reason_says_how_many_and_shows_no_value() -> None:
    (leak,) = identifying(panel(["Ada", "Bo", "Cy"]), (category("value"),))
    assert leak.reason.startswith("3 of 3 customers have a value of their own: it names customers")
    assert "Ada" not in leak.reason
    assert np.isnan(leak.auc)


def test_numbers_are_left_alone() -> None:
    number = Feature("value", "value", "", "none", "customer", None, None, "covariate", "number")
    assert identifying(panel(["1", "2", "3"]), (number,)) == ()
