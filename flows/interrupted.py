"""What a training has predicted so far: an interrupted one goes on where it was, a finished one leaves nothing."""

import hashlib
import io
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.storage import write_bytes

__all__ = ["Remembered", "remembered"]

_DIGITS = 16
"""Hexadecimal digits that name a training."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """Predictions by what they are of: one file each, written whole or not at all.

    Parameters
    ----------
    folder : Path
        Of one training: same data, same study, same seed, same code.
    """

    folder: Path

    def get(self, key: str) -> NDArray[np.float64] | None:
        """Give what was predicted under a key, if anything was."""
        try:
            return np.asarray(np.load(self._path(key), allow_pickle=False), np.float64)
        except (OSError, ValueError):
            return None

    def put(self, key: str, predicted: NDArray[np.float64]) -> None:
        """Keep predictions."""
        content = io.BytesIO()
        np.save(content, predicted, allow_pickle=False)
        write_bytes(self._path(key), content.getvalue())

    def about(self, outcome: str) -> "Remembered":
        """Give the part of one outcome."""
        return Remembered(self.folder / outcome)

    def count(self) -> int:
        """Count what is kept."""
        return sum(1 for _ in self.folder.rglob("*.npy"))

    def forget(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npy"


def remembered(root: Path, about: Mapping[str, object]) -> Remembered:
    """Find what a training with the same circumstances has left, and remove what others have left.

    Parameters
    ----------
    root : Path
        Folder for all trainings of a study.
    about : mapping
        All that its predictions depend on, plain values.
    """
    name = hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:_DIGITS]
    # Ours by their names, and not what a link leads to: a folder called 'training' may have been there before.
    others: Iterable[Path] = () if root.is_symlink() else root.glob("[0-9a-f]" * _DIGITS)
    for other in others:
        if other.name != name:
            shutil.rmtree(other, ignore_errors=True)
    return Remembered(root / name)
