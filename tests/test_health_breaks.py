import numpy as np
import pytest

from features.health_breaks import Break, Hole, find_breaks, find_silence, find_volume_holes
from features.manifest import Periods, Volume

MONTHS = tuple(f"{year}-{month:02d}" for year in (2022, 2023, 2024) for month in range(1, 13))


def _periods(shares: list[float], rows: int = 200) -> Periods:
    """A measure that has a value in these shares of the rows of each month."""
    n = [round(share * rows) for share in shares]
    nothing = (None,) * len(n)
    return Periods(
        measure="rating",
        journey="support",
        periods=MONTHS[: len(n)],
        rows=(rows,) * len(n),
        n=tuple(n),
        median=nothing,
        nonzero=tuple(n),
        quartiles=nothing,
    )


def test_a_lasting_change_of_the_missing_share_is_found() -> None:
    (found,) = find_breaks(_periods([0.7] * 8 + [0.3] * 6))
    assert (found.last_before, found.first_after, found.rows) == ("2022-08", "2022-09", 6 * 140)
    assert (found.before, found.after) == pytest.approx((0.3, 0.7))


def test_a_measure_that_is_never_recorded_again_is_found() -> None:
    assert find_breaks(_periods([0.9] * 8 + [0.0] * 4)) == (
        Break("rating", "support", "2022-08", "2022-09", pytest.approx(0.1), 1.0, 800),
    )


@pytest.mark.parametrize(
    "shares",
    [
        [0.3] * 12,
        [0.3] * 6 + [0.4] * 6,  # less than 20 points
        list(np.linspace(0.2, 0.9, 24)),  # a trend
        [0.3, 0.8] * 8,  # up and down
        [0.3] * 8 + [0.9] * 2,  # two months are not yet lasting
        [],
    ],
)
def test_small_slow_and_passing_changes_are_none(shares: list[float]) -> None:
    assert find_breaks(_periods(shares)) == ()


def test_few_rows_are_passed_over() -> None:
    assert find_breaks(_periods([0.7] * 8 + [0.3] * 6, rows=40)) == ()


def test_chance_makes_no_breaks() -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        shares = rng.binomial(60, rng.uniform(0.05, 0.95), 24) / 60
        assert find_breaks(_periods(shares.tolist(), rows=60)) == ()


def test_months_without_any_value_are_found_between_others() -> None:
    assert find_silence(_periods([0.5] * 5 + [0.0] * 2 + [0.5] * 5)) == (
        Hole("rating", "support", "2022-06", "2022-07", 400),
    )


@pytest.mark.parametrize(
    ("shares", "rows"),
    [
        ([0.5] * 12, 200),
        ([0.5] * 5 + [0.0] + [0.5] * 5, 30),  # chance may leave none of 15
        ([0.0] * 3 + [0.5] * 6 + [0.0] * 3, 200),  # before it began, after it ended
        ([0.5, 0.0] * 6, 200),  # comes in bursts
        ([0.4, 0.02, 0.0, 0.3, 0.05, 0.0, 0.5, 0.1], 200),
        ([0.0] * 6, 200),
    ],
)
def test_what_comes_in_bursts_or_by_chance_has_no_holes(shares: list[float], rows: int) -> None:
    assert find_silence(_periods(shares, rows)) == ()


def _volumes(journey: str, counts: dict[str, int]) -> list[Volume]:
    return [Volume(month=month, journey=journey, touchpoints=count) for month, count in counts.items()]


def test_months_without_touchpoints_are_found_between_busy_ones() -> None:
    busy = _volumes("advert", {"2023-11": 90, "2024-02": 50, "2024-03": 70})
    assert find_volume_holes(busy) == (Hole("", "advert", "2023-12", "2024-01", 50),)
    assert find_volume_holes(_volumes("advert", {"2023-11": 90, "2024-02": 19})) == ()
    assert find_volume_holes(_volumes("a", {"2023-11": 90}) + _volumes("b", {"2024-02": 90})) == ()
