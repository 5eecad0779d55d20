"""Test the point-in-time law on a study's own extract, and say which features know the future and why."""

import time
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from features.errors import LeakError
from features.leak_check import LeakCheck, check_leaks
from features.snapshot import iso, parse_date
from flows import console
from flows.storage import Workspace, open_workspace, records, write_json

__all__ = ["leak_check", "to_json"]

_SHOWN: Final = 20


def leak_check(
    study_file: str, *, cutoffs: Sequence[str] = (), planned: Sequence[str] = (), sample: int | None = None
) -> None:
    """Compare features from the whole extract with those from the rows known at some cutoffs.

    Parameters
    ----------
    study_file : str
        The study.
    cutoffs : sequence of str
        Dates (YYYY-MM-DD); three of the study's grid when empty.
    planned : sequence of str
        Columns of times that were known beforehand.
    sample : int, optional
        About how many customers to check; all when left out.

    Raises
    ------
    LeakError
        A feature differs; the result is written all the same.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    moments = [parse_date(one) for one in cutoffs]
    with console.progress("leaks") as tick:
        found = check_leaks(
            workspace.study,
            workspace.base,
            workspace.store.root,
            cutoffs=moments,
            planned=planned,
            sample=sample,
            tick=tick,
        )
    write_json(workspace.store.result("leaks"), to_json(found))
    _show(found)
    console.say(_closing(workspace, found, time.perf_counter() - started))
    if not found.is_clean:
        raise LeakError(_complaint(found))


def to_json(found: LeakCheck) -> dict[str, Any]:
    """Turn a check into plain values.

    Parameters
    ----------
    found : LeakCheck
        What came out.

    Returns
    -------
    dict
        Cutoffs, numbers of rows and features, and every difference.
    """
    return {
        "is_clean": found.is_clean,
        "cutoffs": [iso(cutoff) for cutoff in found.cutoffs],
        "rows": found.rows,
        "features": found.features,
        "leaking": list(found.leaking),
        "rounded": list(found.rounded),
        "differences": records(found.to_frame()),
        "clocks": list(found.clocks),
        "unchecked": list(found.unchecked),
    }


def _show(found: LeakCheck) -> None:
    frame = found.to_frame()
    if not found.is_clean:
        shown = _worst(frame)
        console.show_table("Features that know the future", shown.head(_SHOWN))
        if len(shown) > _SHOWN:
            console.say(f"and {len(shown) - _SHOWN:,} more; all of them are in the JSON result")
        for (table, cause), n in _causes(frame).items():
            console.say(f"{table or 'features'}: {cause} ({console.count(n, 'feature')})")
    if found.rounded:
        names = console.count(len(found.rounded), "feature")
        console.say(f"note: {names} equal up to rounding: sums in a query depend on the order of its rows")
    for sentence in found.clocks:
        console.say(f"warning: {sentence} What it gives may change from day to day.")
    for sentence in found.unchecked:
        console.say(f"not checked: {sentence}")


def _worst(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep of each feature the cutoff at which most of its rows differ, those with most rows first."""
    share = frame["rows"] / frame["of"].clip(lower=1)
    ordered = frame.assign(share=share).sort_values(["share", "feature", "cutoff"], ascending=[False, True, True])
    worst = ordered.drop_duplicates("feature")
    where = worst["table"].where(worst["column"] == "", worst["table"] + "." + worst["column"])
    return worst.assign(**{"comes from": where})[["feature", "cutoff", "rows", "of", "largest", "comes from"]]


def _causes(frame: pd.DataFrame) -> dict[tuple[str, str], int]:
    """Count features by what is probably behind them; of several cutoffs the one with most rows speaks."""
    ordered = frame.sort_values("rows", ascending=False, kind="stable")
    found: dict[tuple[str, str], int] = {}
    for (table, _), part in ordered.groupby(["table", "column"], sort=True):
        cause, advice = str(part["cause"].iloc[0]), str(part["advice"].iloc[0])
        found[str(table), f"{cause}. {advice}"] = len(set(part["feature"]))
    return found


def _closing(workspace: Workspace, found: LeakCheck, seconds: float) -> str:
    at = f"{console.count(len(found.cutoffs), 'cutoff')}: {found.rows:,} rows x {found.features} features"
    result = f"no leak found at {at} identical" if found.is_clean else f"leaks found at {at} compared"
    return f"{result}, {seconds:.1f} s -> {workspace.store.result('leaks')}"


def _complaint(found: LeakCheck) -> str:
    names = found.leaking
    few = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    count = console.count(len(names), "feature")
    verb = "differs" if len(names) == 1 else "differ"
    return (
        f"{count} of {found.features} {verb} between the whole extract and what was known at the cutoff: {few}. "
        "Equal values were expected. What they come from and what to do stands above; "
        "see docs/how-to/leaks.md."
    )
