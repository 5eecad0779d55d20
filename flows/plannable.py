"""Whether there is anything to plan with, found out before seconds of imports: months to count over, a simulation."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np

from features.errors import EmptyResultError, StoreError, UnsupportedError
from flows.storage import Workspace, open_workspace

__all__ = ["DRAWS_FORMAT", "draws_said", "refuse_flat", "simulated_workspace", "unreadable_draws"]

DRAWS_FORMAT: Final = 2
"""Raised when what is stored changes: a file of another format is as good as none."""

_FAULTS: Final = (OSError, EOFError, BadZipFile, ValueError, LookupError, TypeError, AttributeError)


def refuse_flat(workspace: Workspace) -> None:
    """Refuse to count money over months where there are none.

    Raises
    ------
    UnsupportedError
        The study is a flat table.
    """
    if workspace.study.is_flat:
        raise UnsupportedError(
            f"'{workspace.study_file}' is a flat table without event times, so no money over months can be planned, "
            "compared or chosen by. A study with event tables was expected. See what each initiative would do: "
            "journeylift simulate"
        )


def simulated_workspace(study_file: Path | str) -> Workspace:
    """Open a study that has been simulated; nothing is written.

    Parameters
    ----------
    study_file : Path or str
        The study.

    Raises
    ------
    StudyError
        The study is missing or wrong.
    UnsupportedError
        It is a flat table.
    StoreError
        Nothing has been simulated yet, or it cannot be read.
    EmptyResultError
        Every initiative was refused.
    """
    workspace = open_workspace(study_file, reads_only=True)
    refuse_flat(workspace)
    path = workspace.store.draws
    try:
        said = draws_said(path.read_bytes()) if path.exists() else None
        found = None if said is None else len(said["initiatives"])
    except _FAULTS as error:
        raise unreadable_draws(str(path)) from error
    if found is None:
        raise StoreError(
            f"Nothing has been simulated for '{study_file}' yet. Run: journeylift simulate --study {study_file}"
        )
    if not found:
        raise EmptyResultError(
            f"Every initiative of '{study_file}' was refused, so there is nothing to plan with. At least one that can "
            f"be carried out was expected. See why: journeylift simulate --study {study_file}"
        )
    return workspace


def draws_said(content: bytes) -> dict[str, Any] | None:
    """Read what a file of draws says of itself, without the draws; None where another version wrote it."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        said: dict[str, Any] = json.loads(str(arrays["said"]))
    return said if said.get("format") == DRAWS_FORMAT else None


def unreadable_draws(path: str) -> StoreError:
    """Say that a file of draws is damaged."""
    return StoreError(f"'{path}' is not readable. It is written by journeylift simulate. Delete it and simulate again.")
