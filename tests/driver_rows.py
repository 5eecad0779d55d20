"""Rows as ``explain`` leaves them: three drivers in two journeys, one of them rated, and what stands beside them."""

import math

import pandas as pd

from flows.driver_table import driver_table

NAN = math.nan


def shares(outcome: str = "satisfaction") -> pd.DataFrame:
    """Drivers ranked by models.importance; the smallest first, so that an order has to be made."""
    return pd.DataFrame(
        {
            "outcome": outcome,
            "journey": ["help", "stay", "stay"],
            "driver": ["wait, mean (min)", "noise, mean (points)", "room, mean (points)"],
            "feature": ["wait", "noise", "room"],
            "share": [0.3, 0.1, 0.6],
            "share_lo": [0.2, 0.05, 0.5],
            "share_hi": [0.4, 0.15, 0.7],
            "tier": [2, 3, 1],
            "in_top_3": [1.0, 1.0, 1.0],
            "quality": [0.25, 0.1, 0.5],
            "reach": [0.05, 0.0, 0.1],
            "alone_r2": [0.02, 0.01, 0.05],
            "last_r2": [0.01, 0.01, 0.04],
            "r2": 0.082,
            "n": 900,
            "warning": ["moves in step with stay noise: the two share what either explains", "", ""],
        }
    )


def journeys(outcome: str = "satisfaction") -> pd.DataFrame:
    """Whole journeys ranked like drivers."""
    rows = {"journey": ["stay", "help"], "share": [0.7, 0.3], "share_lo": [0.6, 0.2], "share_hi": [0.8, 0.4]}
    return pd.DataFrame(rows).assign(outcome=outcome, tier=[1, 2], in_top_3=1.0)


def reach(outcome: str = "satisfaction") -> pd.DataFrame:
    """To whom they applied."""
    rows = [
        ("driver", "help", "wait", 0.4, 360),
        ("driver", "stay", "noise", 0.9, 810),
        ("driver", "stay", "room", 1.0, 900),
        ("journey", "help", "wait", 0.4, 360),
        ("journey", "stay", "noise", 1.0, 900),
    ]
    return pd.DataFrame(rows, columns=["level", "journey", "feature", "reach", "n"]).assign(outcome=outcome)


def ratings(outcome: str = "satisfaction", better: str = "higher") -> pd.DataFrame:
    """Of one driver, and of one touchpoint that is no driver of its own."""
    rows = pd.DataFrame({"journey": ["stay", "stay"], "driver": ["room (points)", "check-in, room (points)"]})
    numbers = {"effect": 0.14, "population_effect": 0.12, "penalty": -0.31, "reward": 0.2}
    for name, value in numbers.items():
        rows[name], rows[f"{name}_lo"], rows[f"{name}_hi"] = value, value - 0.02, value + 0.02
    return rows.assign(
        outcome=outcome, feature=["room", "room_in"], n=[900, 300], reach=[1.0, 0.3], better=better,
        kind=["basic", "unclear"], is_nonlinear=False, warning=["", "the two sides cannot be told apart"],
        performance=[60.0, 70.0], performance_lo=58.0, performance_hi=72.0,
    )  # fmt: skip


def table(outcome: str = "satisfaction", better: str = "higher", **codes: str) -> pd.DataFrame:
    """Everything put together."""
    return driver_table(shares(outcome), journeys(outcome), reach(outcome), ratings(outcome, better), codes)
