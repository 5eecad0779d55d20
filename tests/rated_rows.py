"""Rows as ``explain`` leaves them of rated touchpoints: four of one journey, the first the most important."""

import pandas as pd


def rated(outcome: str = "satisfaction", better: str = "higher") -> pd.DataFrame:
    """Make rows of one outcome."""
    rows = []
    for place, name in enumerate(("room", "noise", "pool", "bar")):
        effect = (1 if better == "higher" else -1) * (0.3 - 0.1 * place)
        row = {"outcome": outcome, "better": better, "journey": "stay", "driver": f"{name} (points)", "n": 500}
        row |= {"reach": 1 - 0.2 * place, "kind": "linear", "performance": 60.0 + 10 * place}
        row |= {"performance_lo": 58.0 + 10 * place, "performance_hi": 62.0 + 10 * place}
        for column, value in (
            ("point", effect),
            ("population_point", effect),
            ("penalty", -effect),
            ("reward", effect),
        ):
            row |= {column: value, f"{column}_lo": value - 0.03, f"{column}_hi": value + 0.03}
        rows.append(row)
    return pd.DataFrame(rows)
