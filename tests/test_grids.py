import pytest

from models.grids import CHEAP_CELLS, FEW_EVENTS, LARGE_ROWS, churn_grids, revenue_grids


@pytest.mark.parametrize("grids", [churn_grids(10**4, 1), revenue_grids(10**4, 10**4, 1), churn_grids(1, 1)])
def test_the_default_is_one_of_the_settings_and_is_tried_first(grids):
    for grid in grids.values():
        assert grid.order[0] == grid.default
        assert sorted(grid.order) == sorted(grid.settings)
        assert grid.named(grid.default.label) == grid.default


def test_with_few_churners_nothing_is_tried_that_is_more_flexible_than_the_default():
    for grid in churn_grids(FEW_EVENTS - 1, 1).values():
        assert grid.settings[-1] == grid.default
    for grid in churn_grids(FEW_EVENTS, 1).values():
        assert grid.settings[-1] != grid.default


def test_where_fits_are_dear_the_default_and_the_next_simpler_setting_are_tried():
    for grids in (churn_grids(10**4, CHEAP_CELLS + 1), revenue_grids(10**4, 10**4, CHEAP_CELLS + 1)):
        for grid in grids.values():
            assert len(grid.settings) == 2
            assert grid.settings[-1] == grid.default
    assert [len(grid.settings) for grid in churn_grids(10**4, CHEAP_CELLS).values()] == [3, 3, 3]


def test_amounts_are_boosted_with_larger_trees_where_there_are_many_rows():
    leaves = [
        revenue_grids(999, rows, 1)["boosting"].default.params["max_leaf_nodes"]
        for rows in (LARGE_ROWS - 1, LARGE_ROWS)
    ]
    assert leaves == [6, 15]
