"""Runs, results and models in MLflow: which data, which code, which seed made this number.

The only module that imports MLflow, after the environment has been settled. Without a server of the user's own
everything is kept in a SQLite file and a folder of artefacts under the study's store.
"""

import io
import json
import math
import os
import re
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pandas as pd
from sklearn.base import is_classifier

from features.errors import ModelError
from features.study import Study
from flows.identity import flatten, plain_name
from flows.run_database import ensure_database
from flows.settings import Settings, turn_telemetry_off
from flows.storage import Store

turn_telemetry_off()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about MLflow's own type hints, while it is imported
    import mlflow
    import mlflow.pyfunc
    import mlflow.sklearn
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException
    from mlflow.models import infer_signature
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

__all__ = [
    "CHALLENGER", "CHAMPION", "TRUSTED_TYPES", "Champion", "Recorded", "Run", "Tracker", "find_champion",
    "find_version", "open_tracker",
]  # fmt: skip

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"

# What fitted splines, trees and stacks of scikit-learn hold beside public classes; skops refuses all that is not named.
TRUSTED_TYPES: Final[Sequence[str]] = (
    "functools.partial",  # of check_array, inside FunctionTransformer
    "numpy.dtype",
    "scipy._lib.array_api_compat.numpy._aliases.asarray",
    "scipy.interpolate._bsplines.BSpline",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
)

_VALUE_CHARACTERS: Final = 6_000
_BATCH: Final = 100
_DESCRIPTION: Final = 5_000
_REQUIREMENTS: Final = ("numpy", "pandas", "scikit-learn", "scipy", "skops")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run as it was left.

    Attributes
    ----------
    run_id, name : str
        Its id and name in MLflow.
    experiment : str
        Such as ``northline/simulate``.
    tags : mapping of str to str
        All of them.
    is_deleted : bool
        It was deleted in MLflow, and can be restored there.
    day : str
        When it began, ``YYYY-MM-DD``, UTC.
    """

    run_id: str
    name: str
    experiment: str
    tags: Mapping[str, str]
    is_deleted: bool
    day: str

    @property
    def parent(self) -> str:
        """Id of the run it belongs to; empty where it stands alone."""
        return self.tags.get("mlflow.parentRunId", "")


@dataclass(frozen=True, slots=True)
class Tracker:
    """Where runs and models of one study are recorded.

    Parameters
    ----------
    uri : str
        MLflow tracking address.
    study : str
        Name of the study: prefix of its experiments and models.
    artifacts : str or None
        Address of the artefacts of new experiments; None leaves it to the server.
    """

    uri: str
    study: str
    artifacts: str | None

    @property
    def client(self) -> Any:
        """An MLflow client."""
        ensure_database(self.uri, _create_tables)
        return MlflowClient(self.uri, registry_uri=self.uri)

    def require(self) -> None:
        """Make sure that runs and models can be recorded, before anything is computed for them.

        Raises
        ------
        ModelError
            The server or database does not answer.
        """
        try:
            self.client.search_registered_models(max_results=1)
        except Exception as error:  # (each kind of store fails in its own way)
            what = str(error).strip().splitlines()[0][:200].replace(self.uri, _without_secrets(self.uri))
            raise ModelError(
                f"MLflow at {_without_secrets(self.uri)} does not answer: {what} A tracking server or database with a "
                "model registry was expected. Start it, or correct JOURNEYLIFT_TRACKING_URI or MLFLOW_TRACKING_URI."
            ) from error

    def frame(self, run_id: str, path: str) -> pd.DataFrame | None:
        """Read a table that :meth:`Run.log_frame` has stored; None if the run has none."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                return pd.read_parquet(self.client.download_artifacts(run_id, path, folder))
            except (MlflowException, OSError):
                return None

    def recorded(self, run_id: str) -> Recorded | None:
        """Find a run by its id; None where there is none."""
        try:
            found = self.client.get_run(run_id)
            experiment = self.client.get_experiment(found.info.experiment_id).name
        except MlflowException:
            return None
        began = time.strftime("%Y-%m-%d", time.gmtime(found.info.start_time / 1000))
        is_deleted = found.info.lifecycle_stage == "deleted"
        return Recorded(run_id, str(found.info.run_name), experiment, dict(found.data.tags), is_deleted, began)

    def artifact(self, run_id: str, path: str) -> bytes | None:
        """Read an artefact of a run; None if the run has none, or it is not where it was left."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                return Path(self.client.download_artifacts(run_id, path, folder)).read_bytes()
            except (MlflowException, OSError):
                return None

    def model_name(self, outcome: str) -> str:
        """Name the registered model of an outcome."""
        return f"{self.study}-{outcome}"

    def experiment(self, step: str) -> str:
        """Find or create the experiment of a step and give its id."""
        name = f"{self.study}/{step}"
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        # Without a kind MLflow opens an experiment among traces of language models.
        tags = {"mlflow.experimentKind": "custom_model_development"}
        return str(self.client.create_experiment(name, artifact_location=self.artifacts, tags=tags))

    @contextmanager
    def run(
        self, step: str, name: str, tags: Mapping[str, str], parent: "Run | None" = None, note: str = ""
    ) -> Iterator["Run"]:
        """Record a run; it is marked as failed when what it records fails.

        Parameters
        ----------
        step : str
            ``train``, ``premium``, ``explain``, ``simulate`` or ``score``.
        name : str
            Name of the run, as people read it.
        tags : mapping
            What identifies it.
        parent : Run, optional
            The run it belongs to.
        note : str
            What it found, in Markdown; MLflow shows it above everything else.

        Yields
        ------
        Run
            The open run.
        """
        nested = {"mlflow.parentRunId": parent.run_id} if parent else {}
        noted = {"mlflow.note.content": note} if note else {}
        created = self.client.create_run(self.experiment(step), run_name=name, tags={**tags, **nested, **noted})
        run = Run(self, str(created.info.run_id))
        try:
            yield run
        except BaseException:
            self.client.set_terminated(run.run_id, "FAILED")
            raise
        self.client.set_terminated(run.run_id, "FINISHED")


@dataclass(frozen=True, slots=True)
class Run:
    """An open MLflow run.

    Parameters
    ----------
    tracker : Tracker
        Where it is recorded.
    run_id : str
        Its id in MLflow.
    """

    tracker: Tracker
    run_id: str

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record parameters, nested ones under dotted names; long values are cut at MLflow's limit."""
        rows = [Param(key, value[:_VALUE_CHARACTERS]) for key, value in flatten(params).items()]
        for batch in _batches(rows):
            self.tracker.client.log_batch(self.run_id, params=batch)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Record the metrics that are numbers; a step for each fold."""
        now = int(time.time() * 1000)
        finite = {plain_name(key): float(value) for key, value in metrics.items() if math.isfinite(value)}
        rows = [Metric(key, value, now, step) for key, value in finite.items()]
        for batch in _batches(rows):
            self.tracker.client.log_batch(self.run_id, metrics=batch)

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Record tags."""
        self.tracker.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def log_text(self, text: str, path: str) -> None:
        """Store a text as an artefact."""
        self.tracker.client.log_text(self.run_id, text, path)

    def log_json(self, content: object, path: str) -> None:
        """Store plain values as a JSON artefact."""
        self.log_text(json.dumps(content, ensure_ascii=False, indent=2, default=str), path)

    def log_table(self, frame: pd.DataFrame, path: str) -> None:
        """Store a table as a CSV artefact."""
        self.log_text(frame.to_csv(index=False), path)

    def log_bytes(self, content: bytes, name: str) -> None:
        """Store a file as an artefact."""
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / name).write_bytes(content)
            self.tracker.client.log_artifact(self.run_id, str(Path(scratch) / name))

    def log_frame(self, frame: pd.DataFrame, path: str) -> None:
        """Store a table as a Parquet artefact."""
        folder, _, name = path.rpartition("/")
        with tempfile.TemporaryDirectory() as scratch:
            frame.to_parquet(Path(scratch) / name, index=False)
            self.tracker.client.log_artifact(self.run_id, str(Path(scratch) / name), folder or None)

    def register(
        self, outcome: str, model: Any, tags: Mapping[str, str], *, example: pd.DataFrame | None = None
    ) -> str:
        """Store a fitted scikit-learn model and register it as a new version.

        Parameters
        ----------
        outcome : str
            ``churn`` or ``revenue``.
        model : estimator
            Fitted; it holds no class of ours.
        tags : mapping
            Tags of the version, among them ``feature_contract_hash``.
        example : DataFrame, optional
            Rows that the model takes, nobody's in particular; stored with it, and its signature is read off them.

        Returns
        -------
        str
            The version.

        Raises
        ------
        ModelError
            The model holds a class that is not among the trusted ones.
        """
        refuse_foreign(model, outcome)
        name = self.tracker.model_name(outcome)
        more: dict[str, Any] = {}
        if example is not None:
            predict = model.predict_proba if is_classifier(model) else model.predict
            more = {"signature": infer_signature(example, predict(example)), "input_example": example}
        if is_classifier(model):
            more["pyfunc_predict_fn"] = "predict_proba"
        with _active(self):
            logged = mlflow.sklearn.log_model(
                model,
                **more,
                name=f"{outcome}_model",  # unlike any folder of artefacts: MLflow looks a folder up as a model first
                serialization_format="skops",
                skops_trusted_types=list(TRUSTED_TYPES),
                pip_requirements=[f"{package}=={version(package)}" for package in _REQUIREMENTS],
                registered_model_name=name,
            )
        number = str(logged.registered_model_version)
        for key, value in tags.items():
            self.tracker.client.set_model_version_tag(name, number, key, value)
        return number

    def describe(self, outcome: str, number: str, text: str) -> None:
        """Show a text, such as a model card, on the page of a version."""
        self.tracker.client.update_model_version(self.tracker.model_name(outcome), number, text[:_DESCRIPTION])


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that an alias stood for at one moment.

    Parameters
    ----------
    tracker : Tracker
        Where it is registered.
    name, version : str
        Registered model and version.
    tags : mapping
        Tags of the version.
    run_id : str
        The run that recorded it; empty if it is not known.
    """

    tracker: Tracker
    name: str
    version: str
    tags: Mapping[str, str]
    run_id: str = ""

    @property
    def contract(self) -> str:
        """Hash of the feature contract it was fitted under."""
        return self.tags.get("feature_contract_hash", "")

    def load(self, contract_hash: str) -> Any:
        """Load the model for features under a contract.

        Parameters
        ----------
        contract_hash : str
            Hash of the feature contract of the rows to be scored.

        Returns
        -------
        estimator
            The fitted model.

        Raises
        ------
        ModelError
            The model was fitted under another contract.
        """
        if self.contract != contract_hash:
            raise ModelError(
                f"{self.name} version {self.version} was fitted on features {self.contract[:12] or 'unknown'}, the "
                f"panel holds features {contract_hash[:12]}. Equal ones were expected. Train again: journeylift train"
            )
        with _addressed(self.tracker):
            return mlflow.sklearn.load_model(f"models:/{self.name}/{self.version}")


def open_tracker(study: Study, store: Store, settings: Settings | None = None) -> Tracker:
    """Open the place where runs are recorded; it is created when the first run is (two seconds).

    Parameters
    ----------
    study : Study
        The study.
    store : Store
        Its store.
    settings : Settings, optional
        Read from the environment when left out.

    Returns
    -------
    Tracker
        The user's own server when one is configured, else a SQLite file in the store.
    """
    given = (settings or Settings()).tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not given:
        store.mlflow.mkdir(parents=True, exist_ok=True)
    uri = given or f"sqlite:///{store.mlflow / 'mlflow.db'}"
    return Tracker(uri, study.name, None if given else (store.mlflow / "artifacts").as_uri())


def find_champion(tracker: Tracker, outcome: str, alias: str = CHAMPION) -> Champion | None:
    """Resolve an alias once; everything afterwards uses the version.

    Parameters
    ----------
    tracker : Tracker
        Where models are registered.
    outcome : str
        ``churn`` or ``revenue``.
    alias : str
        ``champion`` or ``challenger``.

    Returns
    -------
    Champion or None
        The version; None when there is no such model or alias.
    """
    name = tracker.model_name(outcome)
    try:
        found = tracker.client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise
    return Champion(tracker, name, str(found.version), dict(found.tags), str(found.run_id or ""))


def find_version(tracker: Tracker, outcome: str, number: str) -> Champion | None:
    """Find a registered version by its number; None when there is none, or it was deleted."""
    name = tracker.model_name(outcome)
    try:
        found = tracker.client.get_model_version(name, number)
    except MlflowException:
        return None
    return Champion(tracker, name, str(found.version), dict(found.tags), str(found.run_id or ""))


def set_alias(tracker: Tracker, outcome: str, number: str, alias: str) -> None:
    """Let an alias stand for a version from now on.

    Parameters
    ----------
    tracker : Tracker
        Where models are registered.
    outcome : str
        ``churn`` or ``revenue``.
    number : str
        The version.
    alias : str
        ``champion`` or ``challenger``.
    """
    tracker.client.set_registered_model_alias(tracker.model_name(outcome), alias, number)


@contextmanager
def _addressed(tracker: Tracker) -> Iterator[None]:
    """Point MLflow's global address at a tracker for as long as its flavours need it."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(tracker.uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


@contextmanager
def _active(run: Run) -> Iterator[None]:
    """Make a run the active one, which MLflow's flavours ask for."""
    quiet = io.StringIO()  # MLflow prints every registration
    with _addressed(run.tracker), warnings.catch_warnings(), redirect_stderr(quiet):
        warnings.simplefilter("ignore")  # about missing signatures: the feature contract is the signature
        with mlflow.start_run(run_id=run.run_id, nested=True, log_system_metrics=False):
            yield
    # Leaving start_run has ended it; it goes on.
    run.tracker.client.update_run(run.run_id, status="RUNNING")


def refuse_foreign(model: object, outcome: str) -> None:
    """Raise a ModelError when a model holds a class that is not among the trusted ones.

    Parameters
    ----------
    model : estimator
        Fitted.
    outcome : str
        What it predicts, for the message.
    """
    import skops.io  # noqa: PLC0415 (a second of imports that only training needs)

    foreign = sorted(set(skops.io.get_untrusted_types(data=skops.io.dumps(model))) - set(TRUSTED_TYPES))
    if foreign:
        raise ModelError(
            f"The {outcome} model holds {', '.join(foreign)}. Only classes that load anywhere were expected. "
            "Build it from scikit-learn's classes, or list them in flows/tracking.py: TRUSTED_TYPES."
        )


def _create_tables(uri: str) -> None:
    """Make MLflow's tables in a new database."""
    SqlAlchemyStore(uri, DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH).engine.dispose()


def _without_secrets(uri: str) -> str:
    """Leave user and password out of an address."""
    return re.sub(r"//[^@/]*@", "//", uri)


def _batches(rows: Sequence[Any]) -> Iterator[list[Any]]:
    waiting = iter(rows)
    while batch := list(islice(waiting, _BATCH)):
        yield batch
