"""How many rows a second are taken apart exactly, beside scikit-learn's own prediction of the same rows.

Run: ``python -m benchmarks.contributions --rows 1e6 --features 188``.

The additive form of churn (100 trees of at most eight leaves, each within one of seven journeys). Before anything is
timed, contributions must add up to the prediction within 1e-9. Then each runs five times; medians are printed
with the lowest and the highest, rows a second by the median, and the peak of the whole process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks.measured import peak_bytes
from models.additive import shapley
from models.evaluation import one_thread

FloatArray = NDArray[np.float64]

JOURNEYS, TRAINING_ROWS, REPEATS = 7, 60_000, 5


def drawn(rows: int, features: int) -> tuple[FloatArray, HistGradientBoostingClassifier]:
    """Draw values of which a fifth are missing, and fit the form to the first of them."""
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(rows, features))
    matrix[rng.random((rows, features)) < 0.2] = np.nan
    first = matrix[:TRAINING_ROWS]
    risk = expit(-2 + 0.1 * np.nan_to_num(first[:, : features // 4]).sum(axis=1))
    groups = [list(range(place, features, JOURNEYS)) for place in range(JOURNEYS)]
    model = HistGradientBoostingClassifier(
        max_iter=100, max_leaf_nodes=8, interaction_cst=groups, early_stopping=False, random_state=0
    )
    return matrix, model.fit(first, (rng.random(len(first)) < risk).astype(int))


def timed(one: Callable[[], object]) -> float:
    """Seconds of one run."""
    started = time.perf_counter()
    one()
    return time.perf_counter() - started


def main() -> None:
    """Compare, then measure, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=float, default=1e6)
    parser.add_argument("--features", type=int, default=188)
    given = parser.parse_args()
    matrix, model = drawn(int(given.rows), given.features)
    few = matrix[:20_000]
    parts = shapley(model, few)
    np.testing.assert_allclose(parts.baseline + parts.amounts.sum(axis=1), model.decision_function(few), atol=1e-9)
    seconds = {"contributions": [0.0] * REPEATS, "prediction": [0.0] * REPEATS}
    with one_thread():
        for repeat in range(REPEATS):
            seconds["contributions"][repeat] = timed(lambda: shapley(model, matrix))
        for repeat in range(REPEATS):
            seconds["prediction"][repeat] = timed(lambda: model.decision_function(matrix))
    for name, found in seconds.items():
        middle = float(np.median(found))
        span = f"{min(found):.2f} to {max(found):.2f}"
        print(f"{name:<14} {middle:6.2f} s ({span})  {len(matrix) / middle:12,.0f} rows a second")
    ratio = np.median(seconds["prediction"]) / np.median(seconds["contributions"])
    print(f"{len(matrix):,} rows, {given.features} features: {ratio:.1f} times as fast as the same trees' prediction")
    print(f"peak {peak_bytes() / 1e9:.2f} GB, of which values and amounts {2 * matrix.nbytes / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
