"""A stored model that is not what was registered is refused before anything of it runs."""

import io
import json
import pickle  # noqa: TID251 (what must not be unpickled)
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import skops.io
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from features.errors import ModelError
from flows import tracking
from flows.sealed_models import DIGEST, MODEL_FILE, TRUSTED_TYPES, digest_of, open_sealed
from models.preparation import STORED_TYPES

ROWS = np.array([[0.0], [1.0], [2.0], [3.0]])
NAMED = "tiny-churn version 1"


def a_model() -> LogisticRegression:
    return LogisticRegression().fit(ROWS, [0, 0, 1, 1])


class Planter:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.path), "w")


def test_a_pickle_would_have_made_the_file(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Planter(tmp_path / "planted"))).close()  # noqa: S301 (what the other tests rule out)
    assert (tmp_path / "planted").exists()


@pytest.fixture
def champion(mlflow_store: Path, request: pytest.FixtureRequest) -> tracking.Champion:
    artifacts = (mlflow_store / "mlflow" / "artifacts").as_uri()
    name = re.sub(r"\W", "-", request.node.name)[:60]
    tracker = tracking.Tracker(f"sqlite:///{mlflow_store / 'mlflow' / 'mlflow.db'}", name, artifacts)
    with tracker.run("train", "x", {}) as run:
        number = run.register("churn", a_model(), {"feature_contract_hash": "abc"})
    tracking.set_alias(tracker, "churn", number, tracking.CHAMPION)
    found = tracking.find_champion(tracker, "churn")
    assert found is not None
    return found


def stored(champion: tracking.Champion) -> Path:
    """Where MLflow keeps the artefact itself."""
    client = champion.tracker.client
    source = client.get_model_version(champion.name, champion.version).source
    location = client.get_logged_model(source.removeprefix("models:/")).artifact_location
    return Path(unquote(urlsplit(location).path))


def altered(folder: Path, _: Path) -> None:
    content = bytearray((folder / MODEL_FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / MODEL_FILE).write_bytes(content)


def another_model(folder: Path, _: Path) -> None:
    skops.io.dump(LogisticRegression().fit(ROWS, [1, 1, 0, 0]), folder / MODEL_FILE)


def with_its_own_trusted_list(folder: Path, planted: Path) -> None:
    """A type of the attacker's choice in the file, and in the list of the artefact that MLflow would obey."""
    skops.io.dump(FunctionTransformer(open, kw_args={"mode": "w"}), folder / MODEL_FILE)
    said = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    said["flavors"]["sklearn"]["skops_trusted_types"] += ["_io.open", "builtins.open", "io.open"]
    (folder / "MLmodel").write_text(yaml.safe_dump(said), encoding="utf-8")


def a_pickle(folder: Path, planted: Path) -> None:
    """As MLflow writes models that are pickled, with code of the attacker beside it."""
    for name in ("model.pkl", MODEL_FILE):
        (folder / name).write_bytes(pickle.dumps(Planter(planted)))
    said = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    said["flavors"]["sklearn"] |= {"serialization_format": "pickle", "pickled_model": "model.pkl", "code": "code"}
    said["flavors"]["python_function"] |= {"model_path": "model.pkl", "code": "code"}
    (folder / "MLmodel").write_text(yaml.safe_dump(said), encoding="utf-8")
    (folder / "code").mkdir()
    (folder / "code" / "sitecustomize.py").write_text(f"open({str(planted)!r}, 'w')", encoding="utf-8")


def only_a_pickle(folder: Path, planted: Path) -> None:
    a_pickle(folder, planted)
    (folder / MODEL_FILE).unlink()


TAMPERED = {
    altered: r"is not trusted: its file model\.skops has the SHA-256 \w{12}, \w{12} was registered\. Equal ones",
    another_model: r"is not trusted: .* Find out who changed it; then go back to another version",
    with_its_own_trusted_list: "is not trusted",
    a_pickle: "is not trusted",
    only_a_pickle: r"holds no model\.skops: No such file",
}


@pytest.mark.parametrize("change", TAMPERED, ids=lambda change: change.__name__)
def test_a_tampered_artefact_is_refused_in_one_sentence_and_runs_nothing(
    champion: tracking.Champion, tmp_path: Path, change: Callable[[Path, Path], None]
) -> None:
    assert champion.load("abc").predict(ROWS).tolist() == [0, 0, 1, 1]
    change(stored(champion), tmp_path / "planted")
    with pytest.raises(ModelError, match=TAMPERED[change]) as caught:
        champion.load("abc")
    assert "\n" not in str(caught.value)
    assert f"{champion.name} version {champion.version}" in str(caught.value)
    assert not (tmp_path / "planted").exists()


def test_a_version_without_a_digest_is_refused_and_one_that_is_gone_is_told(champion: tracking.Champion) -> None:
    unsealed = replace(champion, tags={"feature_contract_hash": "abc"})
    with pytest.raises(ModelError, match="no digest was registered with it"):
        unsealed.load("abc")
    assert champion.tags[DIGEST] == digest_of(stored(champion))
    with pytest.raises(ModelError, match=r"version 99 is not where it was left \(MlflowException\)"):
        replace(champion, version="99").load("abc")


def sealed(folder: Path, content: bytes) -> str:
    (folder / MODEL_FILE).write_bytes(content)
    return digest_of(folder)


def test_types_are_checked_also_where_the_digest_is_the_attackers(tmp_path: Path) -> None:
    content = skops.io.dumps(FunctionTransformer(json.loads))
    with pytest.raises(ModelError, match=rf"{NAMED} holds json\.loads, which is not trusted"):
        open_sealed(tmp_path, sealed(tmp_path, content), NAMED)
    planted = tmp_path / "planted"
    with pytest.raises(ModelError, match=rf"{NAMED} cannot be read \(BadZipFile\)"):
        open_sealed(tmp_path, sealed(tmp_path, pickle.dumps(Planter(planted))), NAMED)
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as file:
        file.writestr("schema.json", "{}")
        file.writestr("model.pkl", pickle.dumps(Planter(planted)))
    with pytest.raises(ModelError, match=rf"{NAMED} cannot be read \(TypeError\)"):
        open_sealed(tmp_path, sealed(tmp_path, whole.getvalue()), NAMED)
    assert not planted.exists()


def test_there_is_one_list_of_trusted_types_and_it_holds_no_way_to_call_a_function(tmp_path: Path) -> None:
    assert TRUSTED_TYPES is STORED_TYPES
    assert not {name for name in TRUSTED_TYPES if re.search(r"partial|builtins|operator|methodcaller|os\.|eval", name)}
    model = make_pipeline(FunctionTransformer(np.arcsinh), StandardScaler(), a_model()).fit(ROWS, [0, 0, 1, 1])
    again = open_sealed(tmp_path, sealed(tmp_path, skops.io.dumps(model)), NAMED)
    np.testing.assert_array_equal(again.predict_proba(ROWS), model.predict_proba(ROWS))
