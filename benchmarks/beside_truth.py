"""Print, per initiative, what simulate estimated beside the truth of the synthetic company it ran on.

journeylift simulate --study demo/study.yaml --seed 7 --json simulate.json
python -m benchmarks.beside_truth simulate.json demo/truth.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def main() -> None:
    """Read both files and print one line per initiative and outcome."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simulated", type=Path, help="what simulate --json wrote")
    parser.add_argument("truth", type=Path, help="truth.json of the company")
    given = parser.parse_args()
    estimates = json.loads(given.simulated.read_text(encoding="utf-8"))["initiatives"]
    truths = {one["name"]: one for one in json.loads(given.truth.read_text(encoding="utf-8"))["initiatives"]}
    print(f"{'initiative':<26}{'outcome':<9}{'estimate':>10}{'90 % interval':>24}{'truth':>10}  inside")
    for row in estimates:
        for outcome, scale in (("churn", 100.0), ("revenue", 1.0)):
            print(_line(row, outcome, scale, truths[row["name"]]))
    print("churn in percentage points over the horizon, revenue in currency per customer over the horizon")


def _line(row: dict[str, float], outcome: str, scale: float, truth: dict[str, float]) -> str:
    true = scale * truth[f"{outcome}_effect"]
    name = f"{row['name']:<26}{outcome:<9}"
    if row[f"{outcome}_effect"] is None:
        return f"{name}{row['verdict']:>10}{'':>24}{true:>10.3f}"
    value, lo, hi = (scale * row[f"{outcome}_{end}"] for end in ("effect", "lo", "hi"))
    inside = "yes" if lo <= true <= hi else "no"
    return f"{name}{value:>10.3f}{f'{lo:.3f} to {hi:.3f}':>24}{true:>10.3f}  {inside}"


if __name__ == "__main__":
    main()
