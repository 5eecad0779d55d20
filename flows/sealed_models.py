"""Stored models, read without running anything that they hold.

MLflow's own loader trusts the types that the artefact itself names, and unpickles where its ``MLmodel`` file says so:
whoever can write the artefact runs code wherever it is scored. So nothing but the one file of the fitted model is
read, its digest has to be the one that the registry recorded, and skops is given our list and no other.
"""

import io
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from features.errors import ModelError
from models.preparation import STORED_TYPES

__all__ = ["DIGEST", "MODEL_FILE", "TRUSTED_TYPES", "digest_of", "open_sealed", "refuse_foreign"]

TRUSTED_TYPES: Final[Sequence[str]] = STORED_TYPES
"""All that a stored model may hold beside what skops trusts by itself: numbers, and public classes of scikit-learn."""

DIGEST: Final = "artefact_sha256"
"""Tag of a version: SHA-256 of the file of its fitted model, in hexadecimal digits."""

MODEL_FILE: Final = "model.skops"
"""Name of that file in the artefact."""


def digest_of(folder: Path) -> str:
    """Give the SHA-256 of the fitted model in an artefact.

    Parameters
    ----------
    folder : Path
        The artefact, as MLflow stores it.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return sha256((folder / MODEL_FILE).read_bytes()).hexdigest()


def open_sealed(folder: Path, digest: str, named: str) -> Any:
    """Read the fitted model of an artefact that is what was registered.

    Parameters
    ----------
    folder : Path
        The artefact.
    digest : str
        As :func:`digest_of` gave it when the model was registered; empty if it was not recorded.
    named : str
        Model and version, for messages.

    Returns
    -------
    estimator
        The fitted model.

    Raises
    ------
    ModelError
        The file is missing, has other bytes than were registered, or holds a type that is not trusted. Nothing of it
        has run then.

    Notes
    -----
    The bytes that were compared are the bytes that are loaded: they are read once.
    """
    try:
        content = (folder / MODEL_FILE).read_bytes()
    except OSError as error:
        raise ModelError(
            f"The artefact of {named} holds no {MODEL_FILE}: {error.strerror}. The file that was registered was "
            "expected. Restore it, go back to another version (journeylift rollback), or train again: journeylift train"
        ) from None
    found = sha256(content).hexdigest()
    if found != digest:
        recorded = f"{digest[:12]} was registered" if digest else "no digest was registered with it"
        raise ModelError(
            f"The artefact of {named} is not trusted: its file {MODEL_FILE} has the SHA-256 {found[:12]}, {recorded}. "
            "Equal ones were expected. Find out who changed it; then go back to another version (journeylift "
            "rollback), or train again: journeylift train"
        )
    return _loaded(content, named)


def refuse_foreign(model: object, outcome: str) -> None:
    """Raise a ModelError when a model holds a class that is not among the trusted ones.

    Parameters
    ----------
    model : estimator
        Fitted.
    outcome : str
        What it predicts, for the message.
    """
    import skops.io  # noqa: PLC0415 (a second of imports that only training and scoring need)

    foreign = sorted(set(skops.io.get_untrusted_types(data=skops.io.dumps(model))) - set(TRUSTED_TYPES))
    if foreign:
        raise ModelError(
            f"The {outcome} model holds {', '.join(foreign)}. Only classes that load anywhere were expected. "
            "Build it from scikit-learn's classes, or list them in models/preparation.py: STORED_TYPES."
        )


def _loaded(content: bytes, named: str) -> Any:
    """Let skops check every type against our list, and make the model only then."""
    import skops.io  # noqa: PLC0415 (as above)
    from skops.io.exceptions import UntrustedTypesFoundException  # noqa: PLC0415

    try:
        return skops.io.load(io.BytesIO(content), trusted=list(TRUSTED_TYPES))  # noqa: TID251 (the one place)
    except UntrustedTypesFoundException:
        foreign = sorted(set(skops.io.get_untrusted_types(data=content)) - set(TRUSTED_TYPES))
        raise ModelError(
            f"The artefact of {named} holds {', '.join(foreign)}, which is not trusted. Only the types in "
            "models/preparation.py were expected. Train again: journeylift train"
        ) from None
    except Exception as error:
        raise ModelError(
            f"The artefact of {named} cannot be read ({type(error).__name__}). A file that skops wrote under these "
            "versions of the libraries was expected. Install the locked ones, or train again: journeylift train"
        ) from error
