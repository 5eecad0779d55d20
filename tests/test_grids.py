import pytest

from models.grids import FEW_EVENTS, Grid, churn_grids, revenue_grids


def _labels(grid: Grid) -> list[str]:
    return [one.label for one in grid.settings]


def test_where_few_churned_nothing_more_flexible_than_the_default_is_tried() -> None:
    few, many = churn_grids(FEW_EVENTS - 1, 10**6), churn_grids(FEW_EVENTS, 10**6)
    for name, grid in few.items():
        assert _labels(grid)[-1] == grid.default.label
        assert len(grid.settings) < len(many[name].settings)
        assert _labels(many[name])[: len(grid.settings)] == _labels(grid)


def test_twice_the_trees_are_tried_only_where_they_are_cheap() -> None:
    assert _labels(churn_grids(1_000, 10**6)["boosting"])[-1] == "200 trees of 6 leaves"
    assert _labels(churn_grids(1_000, 10**8)["boosting"])[-1] == "100 trees of 6 leaves"


def test_the_default_is_tried_first_and_found_by_its_label() -> None:
    for grid in (*churn_grids(1_000, 10**6).values(), *revenue_grids(1_000, 20_000, 10**6).values()):
        assert grid.order[0] == grid.default
        assert sorted(grid.order) == sorted(grid.settings)
        assert grid.named(grid.default.label) == grid.default
        assert len(set(_labels(grid))) == len(grid.settings)


@pytest.mark.parametrize(("rows", "leaves"), [(9_999, 6), (10_000, 15)])
def test_amounts_get_larger_trees_from_ten_thousand_rows_on(rows: int, leaves: int) -> None:
    grid = revenue_grids(5_000, rows, 10**6)["boosting"]
    assert {one.params["max_leaf_nodes"] for one in grid.settings} == {leaves}
