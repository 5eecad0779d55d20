import numpy as np
import pytest

from features.health_jumps import Series, apart, jumps, month_number


def _series(x: list[float], first: str | None = "2023-01", error: float = 0.01) -> Series:
    start = None if first is None else month_number(first)
    months = [None if start is None else start + place for place in range(len(x))]
    return Series(np.array(x, float), np.full(len(x), error), months)


def _told(x: list[float], least: float = 0.5, **more: object) -> list[tuple[int, bool]]:
    return [(jump.place, jump.is_lasting) for jump in apart(jumps(_series(x, **more), least))]  # type: ignore[arg-type]


def test_a_step_is_found_where_it_happens() -> None:
    (jump,) = apart(jumps(_series([1.0] * 6 + [3.0] * 6), 0.5))
    assert (jump.place, jump.pause, jump.before, jump.after, jump.step) == (6, 0, 1.0, 3.0, 2.0)
    assert jump.is_lasting


def test_a_month_of_transition_belongs_to_neither_level() -> None:
    (jump,) = apart(jumps(_series([1.0] * 6 + [2.0] + [3.0] * 6), 0.5))
    assert (jump.place, jump.pause, jump.before, jump.after) == (7, 1, 1.0, 3.0)


@pytest.mark.parametrize(
    "x",
    [
        [1.0] * 12,
        [1.0, 1.1, 0.9, 1.2, 1.0, 1.1, 0.9, 1.0],
        list(np.linspace(0, 5, 24)),  # a trend is not abrupt
        list(np.sin(np.arange(36) * 2 * np.pi / 12)),  # nor is a season that comes and goes
        [1.0] * 5 + [9.0] + [1.0] * 6,  # a single month
        [1.0],
        [],
    ],
)
def test_nothing_jumps_where_nothing_lasts(x: list[float]) -> None:
    assert _told(x) == []


def test_what_returns_within_a_year_is_no_lasting_jump() -> None:
    assert _told([1.0] * 6 + [3.0] * 4 + [1.0] * 6) == [(6, False), (10, False)]


def test_what_happened_a_year_before_as_well_is_a_season() -> None:
    year = [1.0] * 12 + [2.0] * 12 + [4.0] * 12
    assert [place for place, is_lasting in _told(year, first=None) if is_lasting] == [12, 24]
    assert [place for place, is_lasting in _told(year) if is_lasting] == [12]


def test_a_jump_smaller_than_six_standard_errors_is_chance() -> None:
    x = [1.0] * 6 + [2.0] * 6
    assert _told(x, error=0.1) == [(6, True)]
    assert _told(x, error=0.2) == []


def test_a_jump_must_stand_out_from_the_differences_between_months() -> None:
    noisy = [1.0, 1.4, 1.0, 1.4, 1.0, 1.4, 3.0, 3.4, 3.0, 3.4, 3.0, 3.4]
    assert _told(noisy) == []
    assert _told([one + (4.0 if place > 5 else 0.0) for place, one in enumerate(noisy)]) == [(6, True)]


def test_two_jumps_are_told_apart() -> None:
    assert _told([1.0] * 12 + [3.0] * 12 + [7.0] * 12, first=None) == [(12, True), (24, True)]
