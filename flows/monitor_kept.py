"""What is kept of a reference cutoff, so that the next monitoring need not read its rows again.

One file a cutoff, for the rows and the model that it was made from; anything else is made anew. It holds how often each
value of a feature occurs, no customer.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from features.contract import PanelContract
from features.snapshot import iso
from flows.storage import write_bytes
from flows.tracking import Champion
from models.counted import Counted

__all__ = ["Described", "forget", "keep", "kept", "key_of"]

_FORMAT: Final = 1
"""Raise it when a cutoff is described otherwise: files of before are then made anew."""

_DIGEST: Final = 32
"""Bytes of the hash that a file begins with: one that is damaged is told by it, before anything reads it."""

_FOLDER: Final = "reference"
_NAME: Final = re.compile(r"cutoff_date=(\d{4}-\d\d-\d\d)\.bin")


@dataclass(frozen=True, slots=True)
class Described:
    """One cutoff of the reference.

    Attributes
    ----------
    columns : mapping of str to Counted
        Values of the features that are judged.
    scores : Counted
        What the model gives to some of its customers.
    distinct : int
        How many different scores these are.
    """

    columns: Mapping[str, Counted]
    scores: Counted
    distinct: int


def key_of(contract: PanelContract, at: int, model: Champion) -> dict[str, Any]:
    """Name all that a description hangs on: rows, features, model, and how it is made."""
    return {
        "format": _FORMAT,
        "cutoff": iso(at),
        "rows": list(contract.by_cutoff[at].parts),
        "features": contract.feature_contract_hash,
        "model": [model.name, model.version, model.run_id],
    }


def kept(folder: Path, key: Mapping[str, Any]) -> Described | None:
    """Give what is kept under a key.

    Parameters
    ----------
    folder : Path
        Of the monitor.
    key : mapping
        From :func:`key_of`.

    Returns
    -------
    Described or None
        None where there is no such file, where it is of another key, and where it is damaged.
    """
    try:
        content = _path(folder, key["cutoff"]).read_bytes()
    except OSError:
        return None
    digest, body = content[:_DIGEST], content[_DIGEST:]
    if hashlib.sha256(body).digest() != digest:
        return None
    with np.load(io.BytesIO(body), allow_pickle=False) as found:
        parts = {name: found[name] for name in found.files}
    about = json.loads(parts.pop("about").tobytes())
    return _described(about, parts) if about["key"] == key else None


def keep(folder: Path, key: Mapping[str, Any], found: Described) -> None:
    """Keep a description under a key, in place of what was kept of its cutoff; whole or not at all."""
    columns = [*found.columns.values(), found.scores]
    about = {
        "key": dict(key),
        "names": list(found.columns),
        "levels": [None if one.levels is None else list(one.levels) for one in columns],
        "distinct": found.distinct,
    }
    content = io.BytesIO()
    np.savez(
        content,
        allow_pickle=False,
        about=np.frombuffer(json.dumps(about).encode(), np.uint8),
        numbers=np.concatenate([one.numbers for one in columns]),
        counts=np.concatenate([one.counts for one in columns]),
        sizes=np.array([(len(one.numbers), len(one.counts), one.missing) for one in columns], np.int64),
        totals=np.array([one.total for one in columns]),
    )
    body = content.getvalue()
    write_bytes(_path(folder, key["cutoff"]), hashlib.sha256(body).digest() + body)


def forget(folder: Path, needed: Collection[str]) -> None:
    """Remove what is kept of other cutoffs (``YYYY-MM-DD``) than those that are needed."""
    for path in sorted((folder / _FOLDER).glob("cutoff_date=*.bin")):
        named = _NAME.fullmatch(path.name)
        if named and named[1] not in needed:
            path.unlink(missing_ok=True)


def _path(folder: Path, cutoff: str) -> Path:
    return folder / _FOLDER / f"cutoff_date={cutoff}.bin"


def _described(about: Mapping[str, Any], parts: Mapping[str, Any]) -> Described:
    sizes = parts["sizes"]
    numbers = np.split(parts["numbers"], np.cumsum(sizes[:-1, 0]))
    counts = np.split(parts["counts"], np.cumsum(sizes[:-1, 1]))
    columns = [
        Counted(numbers[at], counts[at], int(sizes[at, 2]), float(parts["totals"][at]), _levels(levels))
        for at, levels in enumerate(about["levels"])
    ]
    *of_features, scores = columns
    return Described(dict(zip(about["names"], of_features, strict=True)), scores, int(about["distinct"]))


def _levels(found: list[str] | None) -> tuple[str, ...] | None:
    return None if found is None else tuple(found)
