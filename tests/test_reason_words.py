"""Values in words: what is shown, and that writing each text once changes none."""

import numpy as np
import pytest

from features.measures import Feature
from models.reason_words import sentences


def feature(name: str, unit: str, kind: str = "number") -> Feature:
    return Feature(name, name, unit, "lower", "journey", "support", "wait", "experience", kind)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (14.4, "14"), (9.96, "10"), (1234.5, "1,234"), (3.0, "3"), (2.34, "2.3"), (0.996, "1"), (0.0347, "0.035"),
        (0.0, "0"), (-0.0, "0"), (-0.004, "-0.004"), (-2.25, "-2.2"), (1e-320, "0"),
    ],
)  # fmt: skip
def test_a_number_has_two_digits_or_no_fraction(value: float, shown: str) -> None:
    text = sentences(feature("support__wait_min__mean", "min"), np.array([value]), 6.0).tolist()
    assert text == [f"support: wait mean {shown} min (typical 6)"]


def test_shares_are_per_cent() -> None:
    found = sentences(feature("support__resolved_share__last", "share"), np.array([0.126, 0.0, np.nan, 1.0]), 0.5)
    assert [text.removeprefix("support: resolved latest ") for text in found.tolist()] == [
        "13 % (typical 50 %)", "0 % (typical 50 %)", "not recorded (typical 50 %)", "100 % (typical 50 %)",
    ]  # fmt: skip


def test_a_text_does_not_depend_on_its_neighbours() -> None:
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.lognormal(0, 4, 500), -rng.lognormal(0, 4, 100), [np.nan, 0.0, -0.0, np.nan]])
    one = feature("support__wait_min__mean", "min")
    together = sentences(one, values, 6.0).tolist()
    assert together == [sentences(one, np.array([value]), 6.0)[0] for value in values]
    assert len(set(together)) > 200


def test_categories_and_what_was_never_recorded() -> None:
    plan = feature("plan", "", "category")
    assert sentences(plan, np.array(["plus", np.nan, "basic"], object), "basic").tolist() == [
        "support: plan plus (most: basic)", "support: plan unknown (most: basic)", "support: plan basic",
    ]  # fmt: skip
    assert sentences(feature("x", "min"), np.array([np.nan, 1.0]), None).tolist() == [
        "support: x: nothing recorded", "support: x 1 min",
    ]  # fmt: skip
    assert sentences(plan, np.array([np.nan, "plus"], object), None).tolist() == [
        "support: plan: nothing recorded", "support: plan plus",
    ]  # fmt: skip
