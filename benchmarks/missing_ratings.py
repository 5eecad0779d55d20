"""What a survey concludes depends on what is done with ratings that do not apply: three ways on the same passengers.

Run: ``JOURNEYLIFT_DATA=/path/to/the/data python -m benchmarks.missing_ratings``. Fourteen touchpoints of an airport,
rated by those who used them, and an overall rating (docs/explanation/missing-ratings.md).

*typed*: a rating that is missing did not apply; the flag for it belongs to the driver. *complete answers only*: rows
with a missing rating are dropped, as most tools do in silence. *code as a number*: the questionnaire's code for "never
used", a 6 on a scale of 1 to 5, is left in.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from features.flat import read_flat
from features.flat_panel import flat_contract
from features.study import parse_study
from models.drivers import Driver, drivers_from_features
from models.importance import Association, association

STUDY = Path(__file__).parents[1] / "examples" / "sfo_airport" / "study.yaml"
NEVER_USED = 6.0


def survey() -> tuple[pd.DataFrame, tuple[Driver, ...]]:
    """Read the survey as the study maps it, with the drivers that ``explain`` would choose."""
    os.environ.setdefault("JOURNEYLIFT_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    study = parse_study(STUDY.read_text(encoding="utf-8"), str(STUDY))
    table = read_flat(study, STUDY.parent)
    contract, _ = flat_contract(study, table)
    names = {feature.measure: feature.name for feature in contract.features if feature.measure}
    frame = table.frame.rename(columns=names)
    return frame, drivers_from_features(contract.features, frame)


def handled(frame: pd.DataFrame, drivers: tuple[Driver, ...]) -> dict[str, Association]:
    """Rank the drivers in each of the three ways."""
    ratings = [driver.columns[0] for driver in drivers]
    bare = tuple(replace(driver, columns=driver.columns[:1]) for driver in drivers)
    ways = {
        "typed": (frame, drivers),
        "complete answers only": (frame.dropna(subset=ratings), bare),
        "code as a number": (frame.assign(**frame[ratings].fillna(NEVER_USED)), bare),
    }
    return {name: _ranked(rows, some) for name, (rows, some) in ways.items()}


def _ranked(rows: pd.DataFrame, drivers: tuple[Driver, ...]) -> Association:
    rng = np.random.default_rng(1)
    return association(rows, drivers, "satisfaction", weight="weight", customer="customer_id", rng=rng)


def main() -> None:
    """Print shares, R2, rows and agreement with the typed answer."""
    frame, drivers = survey()
    found = handled(frame, drivers)
    shares = {name: one.to_frame().set_index("driver")["share"] for name, one in found.items()}
    table = pd.DataFrame(shares).sort_values("typed", ascending=False)
    applies = pd.Series({driver.name: frame[driver.columns[0]].notna().mean() for driver in drivers}).rename("rated by")
    print((100 * table.join(applies)).round(1).to_string())
    for name, one in found.items():
        tau = kendalltau(table["typed"], table[name]).statistic
        print(f"{name}: R2 {one.r2:.3f} ({one.r2_lo:.3f} to {one.r2_hi:.3f}), n = {one.n_customers:,}, tau {tau:.2f}")
    ratings = frame[[driver.columns[0] for driver in drivers]]
    complete = ratings.notna().all(axis=1)
    enough = ratings.notna().sum(axis=1) >= 4
    same = enough & ratings.max(axis=1).eq(ratings.min(axis=1))
    print(
        f"the same score for everything: {same[complete].mean():.0%} of complete, "
        f"{same[~complete & enough].mean():.0%} of other raters of four touchpoints or more"
    )


if __name__ == "__main__":
    main()
