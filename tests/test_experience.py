import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.measures import Feature
from models.experience import NOTHING, experience_features, experience_groups


def _feature(name: str, **more) -> Feature:
    given_ = {"unit": "min", "direction": "lower", "level": "journey", "journey": "support", "measure": "wait"}
    return Feature(name=name, meaning=name, role="experience", **(given_ | more))


def test_experiences_are_means_of_measures_and_troubles_of_journeys() -> None:
    wanted = _feature("support__wait_min__mean")
    trouble = _feature("support__trouble_share__mean", measure=None, unit="share")
    others = [
        _feature("support__wait_min__worst"),
        _feature("support__wait_broken_share__mean", unit="share"),
        _feature("support__effort_steps__mean", measure=None, unit="steps"),
        _feature("support__call__wait_min__mean", level="touchpoint"),
    ]
    assert experience_features([others[0], wanted, *others[1:], trouble]) == (wanted, trouble)


def test_thirds_hold_a_third_each_from_best_to_worst() -> None:
    values = np.arange(1.0, 10.0)
    found = experience_groups(values, np.ones(9), "lower", "min")
    assert found.cat.categories.tolist() == [
        "best third: 1 to 3 min",
        "middle third: 4 to 6 min",
        "worst third: 7 to 9 min",
    ]
    assert found.value_counts(sort=False).tolist() == [3, 3, 3]
    higher = experience_groups(values, np.ones(9), "higher", "min")
    assert higher.cat.categories[0] == "best third: 7 to 9 min"


def test_who_had_nothing_stands_last_and_is_in_no_third() -> None:
    found = experience_groups(np.array([1.0, 2, 3, np.nan]), np.ones(4), "lower", "h")
    assert found.iloc[3] == NOTHING
    assert found.cat.categories[-1] == NOTHING


def test_where_a_third_have_none_of_it_they_are_a_group_and_the_rest_is_halved() -> None:
    found = experience_groups(np.array([0.0, 0, 0, 0.1, 0.2, 0.5]), np.ones(6), "lower", "share")
    assert found.cat.categories.tolist() == ["none", "lower half: 10 to 20 %", "upper half: 50 %"]


def test_one_value_for_all_is_one_group() -> None:
    assert experience_groups(np.full(5, 2.0), np.ones(5), "lower", "min").unique().tolist() == ["any: 2 min"]


def test_weights_move_the_cuts() -> None:
    found = experience_groups(np.array([1.0, 2, 3, 4]), np.array([6.0, 1, 1, 1]), "lower", "min")
    assert found.iloc[0] == "better part: 1 min"
    assert found.iloc[3] == "worse part: 2 to 4 min"


@given(st.lists(st.one_of(st.none(), st.integers(0, 6)), min_size=1, max_size=40), st.sampled_from(["lower", "higher"]))
def test_equal_values_are_never_parted_and_order_does_not_matter(values: list[int | None], direction) -> None:
    given_ = np.array([np.nan if one is None else float(one) for one in values])
    found = experience_groups(given_, np.ones(len(given_)), direction, "x")
    for value in {one for one in values if one is not None}:
        assert found[given_ == value].nunique() == 1
    assert (found[np.isnan(given_)] == NOTHING).all()
    turned = experience_groups(given_[::-1], np.ones(len(given_)), direction, "x")
    assert turned.tolist() == found.tolist()[::-1]
    codes, worse = found.cat.codes.to_numpy(), given_ * (1 if direction == "lower" else -1)
    met = ~np.isnan(given_)
    order = np.argsort(worse[met], kind="stable")
    assert (np.diff(codes[met][order]) >= 0).all()


@pytest.mark.parametrize("values", [np.array([np.nan, np.nan]), np.zeros(0)])
def test_without_values_nobody_is_grouped(values: np.ndarray) -> None:
    found = experience_groups(values, np.ones(len(values)), "lower", "min")
    assert set(found) <= {NOTHING}
