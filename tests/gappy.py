"""Columns with gaps: what the normal distribution seen through gaps, and answers that were not given, are tested on."""

import numpy as np
from numpy.typing import NDArray


def gappy(rows: int = 300, columns: int = 4, seed: int = 0) -> NDArray[np.float64]:
    """Correlated columns, a fifth of the values missing, the last column complete."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, columns)) + rng.normal(size=(rows, 1)) + 5.0
    values[:, :-1][rng.random((rows, columns - 1)) < 0.2] = np.nan
    return values
