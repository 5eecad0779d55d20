"""What a store shows to others, read without any code of the product: digests of what is published, the registry."""

import hashlib
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np
import pyarrow.parquet as pq

_OWN = (
    "run_id", "git_commit", "seconds", "created", "written", "scored_at",
    "parts_built", "parts_reused", "how", "untold",
)  # fmt: skip
"""What may differ between two runs that end in the same: ids, times and commit of a run, how much was done anew, and
what is marked as not told yet."""

_LEFT = re.compile(r"\.tmp(-|$)")


def published(root: Path) -> dict[str, str]:
    """Digest everything that others read; a folder that is swapped in as a whole counts as one."""
    scores = [*sorted(root.glob("scores/*")), *sorted(root.glob("scores_superseded/*/*"))]
    whole = [root / "layout", root / "quarantine", root / "panel", *scores]
    files = [root / "dictionary.csv", root / "draws.npz", *sorted(root.glob("results/*.json"))]
    files += sorted(root.glob("monitor/*.json"))
    found = {str(one.relative_to(root)): _folder(one) for one in whole if one.is_dir() and not _is_left(one)}
    return found | {str(one.relative_to(root)): _file(one) for one in files if one.is_file()}


def leftovers(root: Path) -> list[str]:
    """List what unfinished work has left, in the store and beside it, but for Prefect's and MLflow's own."""
    own = ("prefect", "mlflow/artifacts")
    notes = root / "open"
    found = (str(path.relative_to(root)) for path in root.rglob("*") if _is_left(path) or path.parent == notes)
    return sorted(one for one in found if not one.startswith(own))


def unreadable(root: Path) -> list[str]:
    """Open every file in a published place with its own reader, and list those that cannot be read."""
    bad = []
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if not path.is_file() or parts[0] in {"prefect", "training", "open"} or any(map(_is_left, map(Path, parts))):
            continue
        try:
            if path.suffix == ".parquet":
                pq.read_table(path, partitioning=None)
            elif path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            elif path.suffix == ".npz":
                with np.load(path, allow_pickle=False) as arrays:
                    _ = [arrays[name] for name in arrays.files]
        except Exception as error:  # noqa: BLE001 (whatever a reader says)
            if parts[0] != "mlflow":  # artefacts of a run that says it has not finished
                bad.append(f"{path.relative_to(root)}: {error}")
    database = root / "mlflow" / "mlflow.db"
    if database.exists():
        with closing(sqlite3.connect(database)) as opened:
            (said,) = opened.execute("PRAGMA integrity_check").fetchone()
        bad += [] if said == "ok" else [f"mlflow.db: {said}"]
    return bad


def registry(root: Path) -> dict[str, Any]:
    """Give versions, numbers given so far, aliases and how many runs are open."""
    database = root / "mlflow" / "mlflow.db"
    if not database.exists():
        return {"versions": [], "numbers": [], "aliases": [], "tags": [], "open": 0}
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as opened:
        ask = opened.execute
        living = "current_stage <> 'Deleted_Internal'"
        versions = ask(f"SELECT name, version FROM model_versions WHERE {living} ORDER BY 1, 2").fetchall()
        numbers = ask("SELECT name, max(version) FROM model_versions GROUP BY name ORDER BY 1").fetchall()
        aliases = ask("SELECT name, alias, version FROM registered_model_aliases ORDER BY 1, 2").fetchall()
        tags = ask("SELECT name, key, value FROM registered_model_tags WHERE value <> '' ORDER BY 1, 2").fetchall()
        (running,) = ask("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone()
    found = {"versions": versions, "numbers": numbers, "aliases": aliases, "tags": tags}
    return found | {"open": running}


def dangling(root: Path) -> list[str]:
    """List aliases that stand for no version, or for one without its files or its tags."""
    found = registry(root)
    if not found["aliases"]:
        return []
    bad = [f"{name} {alias}" for name, alias, number in found["aliases"] if (name, number) not in found["versions"]]
    with closing(sqlite3.connect(f"file:{root / 'mlflow' / 'mlflow.db'}?mode=ro", uri=True)) as opened:
        for name, _, number in found["aliases"]:
            (where,) = opened.execute(
                "SELECT coalesce(storage_location, source) FROM model_versions WHERE name = ? AND version = ?",
                (name, number),
            ).fetchone()
            if not (Path(unquote(urlparse(where).path)) / "MLmodel").is_file():
                bad.append(f"{name} {number}: no model at {where}")
            keys = {key for (key,) in opened.execute(
                "SELECT key FROM model_version_tags WHERE name = ? AND version = ?", (name, number)
            )}  # fmt: skip
            if not {"feature_contract_hash", "data_fingerprint", "out_of_time_loss"} <= keys:
                bad.append(f"{name} {number}: tags are missing")
    return bad


def _is_left(path: Path) -> bool:
    return _LEFT.search(path.name) is not None


def _folder(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not _is_left(path))
    listed = [(str(path.relative_to(folder)), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _file(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".json":
        content = json.dumps(_plain(json.loads(content)), sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if not key.endswith(_OWN)}
    return [_plain(item) for item in value] if isinstance(value, list) else value
