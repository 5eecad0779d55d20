import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from features.sketch import ERROR, Sketch

VALUES = arrays(np.float64, st.integers(1, 200), elements=st.floats(-1e9, 1e9, allow_nan=False, allow_subnormal=False))


def _sketch(values: np.ndarray, cells: np.ndarray | None = None) -> Sketch:
    sketch = Sketch()
    sketch.add(np.zeros(len(values), np.int64) if cells is None else cells, values)
    return sketch


def _exact(values: np.ndarray, share: float) -> float:
    """The smallest value that at least a share of the values does not exceed."""
    return float(np.sort(values)[max(1, int(np.ceil(share * len(values)))) - 1])


@given(VALUES, st.sampled_from([0.0, 0.25, 0.5, 0.95, 1.0]))
def test_a_quantile_is_never_further_from_zero_and_at_most_the_error_nearer(values: np.ndarray, share: float) -> None:
    exact, found = _exact(values, share), float(_sketch(values).quantile(share)[0])
    assert abs(found) <= abs(exact)
    assert abs(found - exact) <= ERROR * abs(exact)


@given(VALUES, st.integers(0, 200), st.randoms())
def test_order_and_cuts_do_not_matter(values: np.ndarray, cut: int, random: object) -> None:
    shuffled = values.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    parts = Sketch()
    for part in (shuffled[:cut], shuffled[cut:]):
        parts.add(np.zeros(len(part), np.int64), part)
    whole = _sketch(values)
    assert parts.keys.tolist() == whole.keys.tolist()
    assert parts.counts.tolist() == whole.counts.tolist()


def test_whole_numbers_up_to_255_are_exact() -> None:
    numbers = np.arange(-255.0, 256.0)
    sketch = _sketch(numbers, np.arange(len(numbers)))
    assert sketch.quantile(0.5).tolist() == numbers.tolist()


def test_cells_are_counted_apart() -> None:
    sketch = _sketch(np.array([5.0, 7.0, 9.0, -3.0]), np.array([4, 4, 4, 9]))
    assert sketch.cells.tolist() == [4, 9]
    assert sketch.sizes().tolist() == [3, 1]
    assert sketch.quantile(0.5).tolist() == [7.0, -3.0]


def test_cells_can_be_chosen_and_put_together() -> None:
    sketch = _sketch(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 1, 1, 2]))
    assert sketch.where(np.array([False, True, True])).sizes().tolist() == [2, 1]
    together = sketch.regrouped(np.array([7, 0, 7]))
    assert together.cells.tolist() == [0, 7]
    assert together.quantile(1.0).tolist() == [3.0, 4.0]


def test_magnitudes_leave_out_zeros_and_signs() -> None:
    sizes = _sketch(np.array([0.0, -4.0, 2.0, 0.0, 6.0]), np.array([0, 0, 0, 1, 1])).magnitudes()
    assert sizes.sizes().tolist() == [2, 1]
    assert sizes.quantile(0.5).tolist() == [2.0, 6.0]
    assert sizes.quantile(1.0).tolist() == [4.0, 6.0]


def test_nothing_gives_nothing() -> None:
    empty = Sketch()
    empty.add(np.zeros(0, np.int64), np.zeros(0))
    assert empty.cells.tolist() == []
    assert empty.sizes().tolist() == []
    assert empty.quantile(0.5).tolist() == []
    assert empty.magnitudes().quantile(0.5).tolist() == []
    assert empty.regrouped(np.zeros(0, np.int64)).cells.tolist() == []


def test_room_grows_with_the_spread_of_the_values_and_not_with_their_number() -> None:
    rng = np.random.default_rng(0)
    small, large = (_sketch(rng.exponential(600, n)) for n in (100_000, 1_000_000))
    assert len(large.keys) < 1.3 * len(small.keys) < 4_000
