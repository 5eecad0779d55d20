"""Which groups are reasons and who speaks: the compiled pass against the rule written out in Python."""

import math

import numpy as np
import pytest

from models.reason_picks import Groups, Sides

GROUPS = (np.array([0, 3]), np.array([1]), np.array([2, 4, 5]), np.array([6]))
LEAST, PLACES = 0.01, 3


def lean(value: float, place: int, sides: Sides, added: float | None) -> float:
    """How bad a value is; of what is known to add, how much it adds."""
    away = (value - sides.middle[place]) / sides.spread[place]
    away = abs(away) if sides.sign[place] == 0 else sides.sign[place] * away
    if math.isnan(away):
        return -math.inf
    if added is None:
        return away
    return added if away > 0 else min(away, 0.0)


def plainly(amounts: np.ndarray, values: np.ndarray, sides: Sides, added: np.ndarray | None) -> list[list[int]]:
    found = []
    for row in range(len(values)):
        order = sorted(range(len(GROUPS)), key=lambda group: -amounts[row, group])[:PLACES]
        speakers = []
        for group in (one for one in order if amounts[row, one] > LEAST):
            leans = {
                int(place): lean(values[row, place], place, sides, None if added is None else added[row, place])
                for place in GROUPS[group]
            }
            plain = {place: one for place, one in leans.items() if sides.is_plain[place]}
            best = max(plain, key=plain.__getitem__, default=-1)
            speakers.append(best if best >= 0 and plain[best] > 0 else max(leans, key=leans.__getitem__))
        found.append(speakers + [-1] * (PLACES - len(speakers)))
    return found


@pytest.mark.parametrize("is_exact", [True, False])
@pytest.mark.parametrize("rounded", [0, 12])
def test_picks_are_those_of_the_rule_also_under_ties(is_exact: bool, rounded: int) -> None:
    rng = np.random.default_rng(rounded)
    values = np.round(rng.normal(size=(300, 7)), rounded)
    values[rng.random(values.shape) < 0.2] = np.nan
    parts = np.round(rng.normal(size=(300, 7)), rounded)
    sides = Sides(
        np.array([0.0, 0.2, -0.1, 0.0, np.nan, 0.0, 0.0]),
        np.array([1.0, 2.0, 0.5, 1.0, 1.0, 1.0, 1.0]),
        np.array([1.0, -1.0, 0.0, 1.0, 1.0, -1.0, 0.0]),
        np.array([True, True, False, False, True, True, True]),
    )
    groups = Groups.of(GROUPS)
    amounts = groups.sums(parts)
    np.testing.assert_allclose(amounts, np.column_stack([parts[:, one].sum(axis=1) for one in GROUPS]), atol=1e-12)
    found = groups.pick(amounts, values, sides, LEAST, PLACES, parts if is_exact else None)
    assert found.speaker.tolist() == plainly(amounts, values, sides, parts if is_exact else None)
    np.testing.assert_allclose(found.total, amounts.sum(axis=1), atol=1e-12)


def test_pieces_give_the_bits_of_the_whole() -> None:
    rng = np.random.default_rng(1)
    parts = rng.normal(size=(101, 7))
    groups = Groups.of(GROUPS)
    pieces = np.concatenate([groups.sums(parts[start : start + 10]) for start in range(0, 101, 10)])
    np.testing.assert_array_equal(pieces, groups.sums(parts))
