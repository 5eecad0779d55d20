"""What is left out next to a set is worse or dearer for certain; the order is kept."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.every_set import coefficients, terms
from models.exchanges import neighbours
from models.proposals import Proposals
from tests.plans import some_proposals

Flags = NDArray[np.bool_]


def every_neighbour(flags: Flags) -> list[Flags]:
    """One member less, or one exchanged, in plain loops."""
    inside, outside = [i for i, one in enumerate(flags) if one], [j for j, one in enumerate(flags) if not one]
    less = [np.array([one and at != i for at, one in enumerate(flags)]) for i in inside]
    return less + [np.array([one or at == j for at, one in enumerate(left)]) for left in less for j in outside]


def worth(p: Proposals, flags: Flags, weights: NDArray[np.float64]) -> float:
    return float((terms(p, flags[np.newaxis]) @ weights)[0])


@given(st.integers(0, 500), st.integers(1, 9), st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 5), st.booleans())
def test_only_what_is_worse_or_dearer_is_left_out(seed: int, m: int, density: float, close: float, known: bool) -> None:
    p = some_proposals(seed, m, density=density)
    weights = coefficients(p).mean(axis=0)
    flags = np.random.default_rng(seed).random(m) < 0.5
    given_ = [one.tolist() for one in neighbours(p, flags, weights if known else None, close)]
    at_least = worth(p, flags, weights) - close
    for one in every_neighbour(flags):
        is_dearer = one.sum() == flags.sum() and p.cost[one].sum() > p.cost[flags].sum() + 1e-6 * p.cost.sum()
        is_worse = known and worth(p, one, weights) < at_least - 1e-6 * np.abs(weights).sum()
        is_fit = worth(p, one, weights) >= at_least and p.cost[one].sum() <= p.cost[flags].sum()
        if is_dearer or is_worse:
            assert one.tolist() not in given_
        elif is_fit or not known:
            assert one.tolist() in given_
    order = [one.tolist() for one in every_neighbour(flags)]
    assert given_ == [one for one in order if one in given_]


def test_equals_are_never_left_out() -> None:
    p = some_proposals(1, 6, density=0.0)
    weights = np.ones(coefficients(p).shape[1])
    flags = np.array([True, True, True, False, False, False])
    given_ = [one.tolist() for one in neighbours(p, flags, weights, 0.0)]
    cheaper = [one for one in every_neighbour(flags)[3:] if p.cost[one].sum() <= p.cost[flags].sum()]
    assert [one.tolist() for one in cheaper] == given_
