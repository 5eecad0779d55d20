"""What a version predicted out of time when it was trained, customer by customer: it stays in the study's store.

MLflow is read by many and copied to servers; it holds numbers about groups only.
"""

import io
import shutil
from pathlib import Path
from typing import Final

import pandas as pd
from pyarrow.lib import ArrowInvalid

from features.errors import ModelError, StoreError
from features.sources import first_line
from flows.storage import write_bytes
from flows.tracking import Champion, Tracker
from models.splits import cutoff_microseconds

__all__ = ["forget_tests", "keep_tests", "recorded_tests", "row_keys"]

_FOLDER: Final = "tested"


def keep_tests(tracker: Tracker, run_id: str, outcome: str, rows: pd.DataFrame) -> None:
    """Keep the out-of-time predictions of a training, so that later versions can be compared with them.

    Parameters
    ----------
    tracker : Tracker
        Knows the store.
    run_id, outcome : str
        The training and what it predicts.
    rows : DataFrame
        customer_id, cutoff, predicted; one row a customer and cutoff.

    Raises
    ------
    StoreError
        They cannot be written.
    """
    content = io.BytesIO()
    row_keys(rows).assign(predicted=rows["predicted"].to_numpy()).to_parquet(content, index=False)
    write_bytes(_folder(tracker, run_id) / f"{outcome}.parquet", content.getvalue())


def recorded_tests(version: Champion, outcome: str) -> pd.DataFrame | None:
    """Read what a version predicted out of time when it was trained.

    Returns
    -------
    DataFrame or None
        customer_id and cutoff (see :func:`row_keys`), predicted; None where this store does not hold them: they were
        not recorded, or the version was trained on another store.

    Raises
    ------
    StoreError
        The file is damaged or cannot be read.
    """
    if not version.run_id:
        return None
    path = _folder(version.tracker, version.run_id) / f"{outcome}.parquet"
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        return None
    except (OSError, ArrowInvalid) as error:
        raise StoreError(
            f"'{path}' cannot be read: {first_line(error)}. What version {version.version} predicted when it was "
            "trained was expected. Bring it back, or remove the file: versions are then compared without it."
        ) from error


def forget_tests(tracker: Tracker, run_id: str) -> None:
    """Remove the tests of a training that is taken back."""
    folder = _folder(tracker, run_id)
    if not folder.parent.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)


def row_keys(rows: pd.DataFrame) -> pd.DataFrame:
    """Name the rows of a panel as recorded tests do: customer_id (text), cutoff (microseconds)."""
    return pd.DataFrame({"customer_id": rows["customer_id"].astype(str), "cutoff": cutoff_microseconds(rows)})


def _folder(tracker: Tracker, run_id: str) -> Path:
    if tracker.store is None:
        raise ValueError("no store was given, and recorded tests are kept there: open_tracker")
    if not run_id.isalnum():  # a server names it, and a folder is removed by that name
        raise ModelError(f"MLflow names a run '{run_id}'. Letters and digits were expected. Ask who runs the server.")
    return tracker.store / _FOLDER / run_id
