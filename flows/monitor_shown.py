"""What a person sees of a monitoring on the console."""

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from flows import console
from flows.wording import alike, percent, span

__all__ = ["show"]

_OUTCOMES: Final = {"auc": "AUC (90 %)", "calibration_slope": "slope (90 %)", "lift": "lift (90 %)"}


def show(result: Mapping[str, Any]) -> None:
    """Show checks, what came true, and the verdict with its reasons.

    Parameters
    ----------
    result : mapping
        Content of ``monitor.json``.
    """
    checks = pd.DataFrame(result["checks"])
    console.show_table(f"Scores of {result['cutoff']}, model version {result['version']}", checks)
    if result["outcomes"]:
        rows = [_outcome(one) for one in result["outcomes"]]
        console.show_table("What came true, beside what was promised", pd.DataFrame(rows))
    for note in result["notes"]:
        console.say(f"note: {note}")
    console.say(f"verdict: {result['verdict']}")
    for reason in result["reasons"]:
        console.say(f"{reason['verdict']}: {reason['text']}")


def _outcome(one: Mapping[str, Any]) -> dict[str, str]:
    found = {row["metric"]: row for row in one["metrics"]}
    row = {
        "cutoff": one["cutoff"],
        "n": f"{one['n']:,}",
        "left": f"{one['churned']:,}",
        "expected": f"{percent(one['expected_rate'], 1)}, came {percent(one['churn_rate'], 1)}" if one["n"] else "",
    }
    for metric, title in _OUTCOMES.items():
        row[title] = _against(found[metric]) if metric in found else ""
    return {**row, "verdict": one["verdict"] or "not judged: learned from"}


def _against(row: Mapping[str, Any]) -> str:
    if row["value"] is None:
        return ""
    write = alike(row["value"], row["lo"], row["hi"])
    told = f"{write(row['value'])} ({span(row['lo'], row['hi'], write)})"
    return told if row["promised"] is None else f"{told}, promised {write(row['promised'])}"
