"""Runs, results and models in MLflow: which data, which code, which seed made this number.

The only module that imports MLflow, after the environment has been settled. Without a server of the user's own
everything is kept in a SQLite file and a folder of artefacts under the study's store.
"""

import io
import json
import math
import os
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pandas as pd
from sklearn.base import is_classifier

from features.errors import ModelError
from features.publish import sweep
from features.study import Study
from flows.identity import flatten, plain_name
from flows.machine_faults import machine_fault
from flows.redaction import environment_secrets, redacted
from flows.run_database import ensure_database
from flows.sealed_models import DIGEST, TRUSTED_TYPES, digest_of, open_sealed, refuse_foreign
from flows.settings import Settings, turn_telemetry_off
from flows.storage import Store
from flows.unfinished import OPENED, abandoned, noted

turn_telemetry_off()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about MLflow's own type hints, while it is imported
    import mlflow
    import mlflow.artifacts
    import mlflow.sklearn
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException
    from mlflow.models import infer_signature
    from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

__all__ = [
    "CHALLENGER", "CHAMPION", "Champion", "Recorded", "Run", "Tracker", "find_champion", "find_version", "open_tracker",
    "set_alias",
]  # fmt: skip

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"

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
    store : Path, optional
        Folder of the study's store, which holds what versions predicted when they were trained
        (`flows.recorded_tests`) and the notes of open runs (`flows.unfinished`); without one a run of a dead process
        stays open.
    """

    uri: str
    study: str
    artifacts: str | None
    store: Path | None = None

    @property
    def notes(self) -> Path | None:
        """Folder of the notes of open runs."""
        return None if self.store is None else self.store / "open"

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
        StoreError
            The disk of the database is full or away.
        """
        try:
            self.client.search_registered_models(max_results=1)
        except Exception as error:
            if self.uri.startswith("sqlite:") and (known := machine_fault(error)) is not None:
                raise known from error
            said = (str(error).strip().splitlines() or [type(error).__name__])[0]
            what = redacted(said, [self.uri, *environment_secrets()])[:200]
            raise ModelError(
                f"MLflow at {redacted(self.uri)} does not answer: {what} A tracking server or database with a "
                "model registry was expected. Start it, or correct JOURNEYLIFT_TRACKING_URI or MLFLOW_TRACKING_URI."
            ) from None  # what the driver said may hold the password

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
        self,
        step: str,
        name: str,
        tags: Mapping[str, str],
        parent: "Run | None" = None,
        note: str = "",
        token: str = "",
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
        token : str
            Of a note that is kept already (`flows.unfinished`); without one the run is noted for as long as it is open.

        Yields
        ------
        Run
            The open run.
        """
        nested = {"mlflow.parentRunId": parent.run_id} if parent else {}
        shown = {"mlflow.note.content": note} if note else {}
        experiment = self.experiment(step)
        if parent is None:
            self._end_dead_runs()
        token = parent.token if parent else token
        with nullcontext(token) if token or parent else noted(self.notes, {}) as token:
            opened = {OPENED: token} if token else {}
            created = self.client.create_run(experiment, run_name=name, tags={**tags, **nested, **shown, **opened})
            run = Run(self, str(created.info.run_id), token)
            try:
                yield run
            except BaseException:
                self.client.set_terminated(run.run_id, "FAILED")
                raise
            self.client.set_terminated(run.run_id, "FINISHED")

    def _end_dead_runs(self) -> None:
        """Mark runs of dead processes as killed; trainings are taken back by `flows.registry.put_right`."""
        for one in abandoned(self.notes, with_undo=False):
            for run_id in self.opened(one.token):
                self.kill(run_id)

    def opened(self, token: str) -> tuple[str, ...]:
        """Find the ids of the runs that were opened under a note, finished or not."""
        known = [one.experiment_id for one in self.client.search_experiments()]
        found = self.client.search_runs(known, f"tags.`{OPENED}` = '{token}'", max_results=1_000) if known else []
        return tuple(str(one.info.run_id) for one in found)

    def kill(self, run_id: str) -> None:
        """Mark a run as one whose process was killed, if it says that it is still running."""
        if self.client.get_run(run_id).info.status == "RUNNING":
            self.client.set_terminated(run_id, "KILLED")


@dataclass(frozen=True, slots=True)
class Run:
    """An open MLflow run.

    Parameters
    ----------
    tracker : Tracker
        Where it is recorded.
    run_id : str
        Its id in MLflow.
    token : str
        Of the note of its process (`flows.unfinished`); empty where there is none.
    """

    tracker: Tracker
    run_id: str
    token: str = ""

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
        with _artefact(self.tracker, name, number) as folder:
            sealed = {**tags, DIGEST: digest_of(folder)}
        for key, value in sealed.items():
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
            The model was fitted under another contract, or its artefact is not what was registered; see
            :func:`flows.sealed_models.open_sealed`.
        """
        if self.contract != contract_hash:
            raise ModelError(
                f"{self.name} version {self.version} was fitted on features {self.contract[:12] or 'unknown'}, the "
                f"panel holds features {contract_hash[:12]}. Equal ones were expected. Train again: journeylift train"
            )
        with _artefact(self.tracker, self.name, self.version) as folder:
            return open_sealed(folder, self.tags.get(DIGEST, ""), f"{self.name} version {self.version}")


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
        sweep(store.mlflow / "mlflow.db")
    uri = given or f"sqlite:///{store.mlflow / 'mlflow.db'}"
    return Tracker(uri, study.name, None if given else (store.mlflow / "artifacts").as_uri(), store.root)


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
    return _as_champion(tracker, name, found)


def find_version(tracker: Tracker, outcome: str, number: str) -> Champion | None:
    """Find a registered version by its number; None when there is none, or it was deleted."""
    name = tracker.model_name(outcome)
    try:
        found = tracker.client.get_model_version(name, number)
    except MlflowException:
        return None
    return _as_champion(tracker, name, found)


def _as_champion(tracker: Tracker, name: str, found: Any) -> Champion:
    """Take what MLflow says of a version."""
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
def _artefact(tracker: Tracker, name: str, number: str) -> Iterator[Path]:
    """Fetch the artefact of a version; it is gone at the end of the block."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            with _addressed(tracker), redirect_stderr(io.StringIO()):  # a bar for each file
                found = mlflow.artifacts.download_artifacts(f"models:/{name}/{number}", dst_path=scratch)
        except (MlflowException, OSError) as error:
            raise ModelError(
                f"The artefact of {name} version {number} is not where it was left ({type(error).__name__}). The "
                "folder that was registered was expected. Restore it, go back to another version (journeylift "
                "rollback), or train again: journeylift train"
            ) from error
        yield Path(found)


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


def _create_tables(uri: str) -> None:
    """Make MLflow's tables in a new database."""
    SqlAlchemyStore(uri, DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH).engine.dispose()


def _batches(rows: Sequence[Any]) -> Iterator[list[Any]]:
    waiting = iter(rows)
    while batch := list(islice(waiting, _BATCH)):
        yield batch
