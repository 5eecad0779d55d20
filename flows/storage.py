"""Where a study keeps what it makes: paths under its store, and files that appear whole or not at all."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from features.errors import StoreError, StudyError
from features.publish import store_error, sweep
from features.study import Study, parse_study
from flows.documents import read_document

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Store", "Workspace", "cutoffs_in", "open_store", "open_workspace", "read_json", "records", "write_bytes",
    "write_json",
]  # fmt: skip

_CUTOFF: Final = "cutoff_date="


@dataclass(frozen=True, slots=True)
class Store:
    """Paths of everything that is written for one study.

    Parameters
    ----------
    root : Path
        The store's folder.

    Examples
    --------
    >>> Store(Path("store")).result("train").as_posix()
    'store/results/train.json'
    """

    root: Path

    @property
    def layout(self) -> Path:
        """The touchpoints, laid out by customer."""
        return self.root / "layout"

    @property
    def panel(self) -> Path:
        """The panel, one partition a cutoff."""
        return self.root / "panel"

    @property
    def scores(self) -> Path:
        """The scores, one partition a cutoff."""
        return self.root / "scores"

    @property
    def mlflow(self) -> Path:
        """The local MLflow database and its artefacts."""
        return self.root / "mlflow"

    @property
    def training(self) -> Path:
        """What a training that goes on has predicted so far."""
        return self.root / "training"

    @property
    def monitor(self) -> Path:
        """What was found about each scored cutoff, and what is kept of the reference."""
        return self.root / "monitor"

    @property
    def draws(self) -> Path:
        """The draws of the last simulation."""
        return self.root / "draws.npz"

    @property
    def compared(self) -> Path:
        """Draws of plans that were compared without becoming the last simulation."""
        return self.root / "compared"

    @property
    def dictionary(self) -> Path:
        """The data dictionary: what each feature is, and what it looks like."""
        return self.root / "dictionary.csv"

    @property
    def report(self) -> Path:
        """The report for people."""
        return self.root / "report.html"

    def result(self, name: str) -> Path:
        """Name the file that holds the latest result of a command."""
        return self.root / "results" / f"{name}.json"

    @property
    def unfinished_scores(self) -> Path:
        """Where scores are being written: whoever reads `scores` as a whole must not see them."""
        return self.root / "scores_unfinished"

    def superseded_scores(self, cutoff: str) -> Path:
        """Name the folder of the earlier revisions of the scores at a cutoff (``YYYY-MM-DD``)."""
        return self.root / "scores_superseded" / f"{_CUTOFF}{cutoff}"

    def score_partition(self, cutoff: str) -> Path:
        """Name the folder of the scores at a cutoff (``YYYY-MM-DD``)."""
        return self.scores / f"{_CUTOFF}{cutoff}"


def cutoffs_in(folder: Path) -> list[str]:
    """List the cutoffs (``YYYY-MM-DD``) that have a folder in a folder such as `Store.scores`, oldest first."""
    names = (path.name.removeprefix(_CUTOFF) for path in folder.glob(f"{_CUTOFF}*"))
    return sorted(name for name in names if re.fullmatch(r"\d{4}-\d\d-\d\d", name))


@dataclass(frozen=True, slots=True)
class Workspace:
    """A study that was read, with its folder and its store.

    Parameters
    ----------
    study_file : Path
        The file the study came from.
    study : Study
        The study.
    store : Store
        Where its results are kept.
    """

    study_file: Path
    study: Study
    store: Store

    @property
    def base(self) -> Path:
        """The folder that the study's paths are relative to."""
        return self.study_file.parent


def open_workspace(study_file: Path | str, *, reads_only: bool = False) -> Workspace:
    """Read a study and make its store ready for writing.

    Parameters
    ----------
    study_file : Path or str
        The study, usually ``study.yaml``.
    reads_only : bool
        Leave the store as it is, also where there is none yet.

    Returns
    -------
    Workspace
        Study, folder and store.

    Raises
    ------
    StudyError
        The file is missing, unreadable or wrong; all faults are listed.
    StoreError
        The store's folder cannot be written.
    """
    path = Path(study_file).expanduser().resolve()
    study = parse_study(_read_study(path, str(study_file)), path.name)
    root = path.parent / study.store
    return Workspace(path, study, Store(root) if reads_only else open_store(root))


def open_store(root: Path) -> Store:
    """Create a store's folder and prove that it can be written.

    Parameters
    ----------
    root : Path
        The folder; missing parents are created.

    Returns
    -------
    Store
        The store.

    Raises
    ------
    StoreError
        The folder cannot be created or written.

    Examples
    --------
    >>> import tempfile
    >>> open_store(Path(tempfile.mkdtemp()) / "store").root.is_dir()
    True
    """
    probe = root / f".writable.tmp-{os.getpid()}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        sweep(root / ".writable")
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise store_error(root, error) from error
    return Store(root)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or all of the new one.

    Parameters
    ----------
    path : Path
        The file; missing folders are created.
    content : bytes
        What it shall hold.

    Raises
    ------
    StoreError
        The file cannot be written.

    Notes
    -----
    The content goes to a file beside it, is flushed to the disk and renamed; a process killed in between leaves a
    ``*.tmp-<pid>`` file that nothing reads and the next one to write this file removes.
    """
    beside = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise store_error(path, error) from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all; numbers that are not finite become null.

    Parameters
    ----------
    path : Path
        The file.
    content : mapping
        Plain values, lists and mappings.
    """
    text = json.dumps(_finite(content), ensure_ascii=False, indent=2, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_json(path: Path) -> dict[str, Any] | None:
    """Read a JSON file of ours.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict or None
        Its content; None when there is no such file.

    Raises
    ------
    StoreError
        The file is there but is not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error
    if not isinstance(content, dict):
        raise _unreadable(path)
    return content


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn a table into plain rows for JSON: missing numbers as None, dates as ISO text.

    Parameters
    ----------
    frame : DataFrame
        Any table; its index is left out.

    Returns
    -------
    list of dict
        One mapping a row.

    Examples
    --------
    >>> import pandas as pd
    >>> records(pd.DataFrame({"n": [1], "share": [float("nan")]}))
    [{'n': 1, 'share': None}]
    """
    text = frame.reset_index(drop=True).to_json(orient="records", date_format="iso", double_precision=15)
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


def _unreadable(path: Path) -> StoreError:
    return StoreError(f"'{path}' is not readable as JSON. It is written by journeylift. Delete it and run again.")


def _read_study(path: Path, shown: str) -> str:
    try:
        return read_document(path)
    except FileNotFoundError:
        message = f"There is no study at '{shown}'. Name one with --study FILE, or start one with: journeylift init DIR"
    except IsADirectoryError:
        message = f"'{shown}' is a folder. A study file was expected. Try --study {shown}/study.yaml"
    except UnicodeDecodeError:
        message = f"'{shown}' is not UTF-8 text. A YAML file was expected. Save it as UTF-8."
    except OSError as error:
        message = f"'{shown}' cannot be read: {error.strerror}. Check its permissions."
    raise StudyError(message)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
