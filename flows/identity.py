"""Which data, which code, which seed made a number; and nested settings as flat text for a tracking server."""

import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from features.contract import PanelContract
from features.study import Study

__all__ = ["flatten", "git_commit", "identity", "plain_name"]


def identity(study: Study, contract: PanelContract, seed: int) -> dict[str, str]:
    """Say which data, which code and which seed made a number.

    Parameters
    ----------
    study : Study
        The study.
    contract : PanelContract
        Contract of the panel that was used.
    seed : int
        Seed of everything random.

    Returns
    -------
    dict of str to str
        Tags for runs and model versions, and part of every result.
    """
    return {
        "study": study.name,
        "study_fingerprint": study.fingerprint(),
        "data_fingerprint": contract.layout_fingerprint,
        "feature_contract_hash": contract.feature_contract_hash,
        "seed": str(seed),
        "package_version": version("journeylift"),
        "git_commit": git_commit(),
    }


def git_commit() -> str:
    """Commit of the code, with a sign for changes since; empty outside a repository."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():  # installed, maybe inside somebody else's repository
        return ""
    command = ("git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40")
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def flatten(values: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Turn nested values into flat text under dotted names.

    Parameters
    ----------
    values : mapping
        Plain values, lists and mappings.
    prefix : str
        What all names start with.

    Returns
    -------
    dict of str to str
        Scalars as text; lists as numbered entries; empty containers and None are left out.

    Examples
    --------
    >>> flatten({"snapshot": {"every": "month"}, "journeys": [{"name": "a"}]})
    {'snapshot.every': 'month', 'journeys.0.name': 'a'}
    """
    flat: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{name}.")
        elif isinstance(value, list | tuple):
            flat |= flatten({str(at): item for at, item in enumerate(value)}, f"{name}.")
        elif value is not None:
            flat[plain_name(name)] = str(value)
    return flat


def plain_name(name: str) -> str:
    """Keep to the characters that MLflow takes in a name.

    Parameters
    ----------
    name : str
        Any name.

    Returns
    -------
    str
        At most 250 letters of any script, digits and ``_-./`` and blanks; ``_`` stands for every other sign.

    Examples
    --------
    >>> plain_name("price (€)")
    'price ___'
    """
    return "".join(sign if sign.isalnum() or sign in "_-./ " else "_" for sign in name)[:250]
