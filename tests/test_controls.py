"""Controls as columns."""

import numpy as np
import pandas as pd

from models.controls import control_matrix


def test_numbers_have_a_flag_and_texts_a_column_a_level_and_one_for_what_is_missing() -> None:
    rows = pd.DataFrame({"age": [1.0, 2.0, np.nan], "segment": ["b", None, "a"], "same": [7.0, 7.0, 7.0]})
    weight = np.array([1.0, 3.0, 2.0])
    found = control_matrix(rows, ["age", "segment", "same"], weight)
    assert found.shape == (3, 7)
    np.testing.assert_allclose(weight @ found, 0, atol=1e-12)
    np.testing.assert_allclose(weight @ found[:, 1:5] ** 2 / 6, 1)
    np.testing.assert_allclose(found[:2, 0] * np.sqrt(3 / 16), [-0.75, 0.25])
    assert found[2, 0] == 0
    assert [int(column.argmax()) for column in found[:, 1:5].T] == [2, 2, 0, 1]
    assert not found[:, 5:].any()


def test_no_controls_are_no_columns() -> None:
    assert control_matrix(pd.DataFrame({"age": [1.0, 2.0]}), [], np.ones(2)).shape == (2, 0)
