"""One cutoff from the panel to its partition of scores: read, score, publish, record, deliver; each done once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from features.contract import PanelContract, existing_contract
from features.errors import EmptyResultError, StoreError
from features.memory import scoring_threads
from features.panel_batches import BATCH_ROWS, panel_batches, panel_sample
from features.snapshot import Snapshot, iso
from features.sorted_rows import in_order_of
from flows import console
from flows.fence import load_champions, require_registered
from flows.identity import identity
from flows.score_rows import SAME, SCORE_SCHEMA, LoadedModel, Scorer, needed, score_batches
from flows.score_store import How, Key, Published, publish_scores, published, rows_digest
from flows.score_told import Scored, did
from flows.sealed_models import DIGEST
from flows.steps import io_step, step
from flows.storage import Workspace
from flows.tracking import Champion, open_tracker

__all__ = ["ScoringRun", "deliver_to_sink", "record", "recorded_marks", "score_cutoff", "score_tables"]

_MOST_RUNS: Final = 50_000
"""As many as MLflow gives at once; what lies beyond is looked for one by one."""

_VERSIONS: Final = ("churn_model_version", "revenue_model_version")


@dataclass(slots=True)
class ScoringRun:
    """What holds for all cutoffs of a run.

    Attributes
    ----------
    workspace : Workspace
        The study and its store.
    contract : PanelContract
        Contract of the panel.
    champions : mapping of str to Champion
        The versions that the alias stood for when the run began, by outcome.
    latest : int
        The latest cutoff that is not still to come, microseconds.
    again : bool
        Compute also what is there by the same key.
    stale : mapping of str to str
        Tables that are too old, and scored all the same, with the day of their newest row; of the latest cutoff only.
    """

    workspace: Workspace
    contract: PanelContract
    champions: Mapping[str, Champion]
    latest: int
    again: bool = False
    stale: Mapping[str, str] = field(default_factory=dict)
    _models: dict[str, LoadedModel] | None = None

    @property
    def models(self) -> dict[str, LoadedModel]:
        """The loaded champions; they are loaded when they are first asked for."""
        if self._models is None:
            self._models = load_models(self.champions, self.contract.feature_contract_hash)
        return self._models

    def sealed(self, outcome: str) -> str | None:
        """Give the SHA-256 of an outcome's champion as it was registered; None where the study has none."""
        return self.champions[outcome].tags.get(DIGEST) if outcome in self.champions else None

    def version(self, outcome: str) -> str | None:
        """Give the version of an outcome's champion; None where the study has none."""
        return self.champions[outcome].version if outcome in self.champions else None


def score_cutoff(run: ScoringRun, at: int, tick: console.Tick) -> Scored:
    """Score a cutoff, unless that was done by the same models from the same rows.

    Parameters
    ----------
    run : ScoringRun
        What holds for all cutoffs.
    at : int
        A cutoff of the panel, microseconds.
    tick : callable
        Told what is being done.

    Returns
    -------
    Scored

    Raises
    ------
    EmptyResultError
        Nobody is at risk.
    ModelError
        A champion was fitted on other features, or has been withdrawn since the run began.
    StoreError
        The store or the sink cannot be written, or the panel was built anew meanwhile.
    """
    store = run.workspace.store
    tick(f"{iso(at)}: reading the panel")
    key = read_key(run, at)
    there = published(store, iso(at))
    is_there, is_whole = there is not None and there.key == key, there is not None and there.is_whole()
    how: How | None = None
    if there is None or not is_there or not is_whole or run.again:
        tick(f"{iso(at)}: scoring {run.contract.by_cutoff[at].rows:,} customers")
        now, how = publish(run, run.models, at, key)
    else:
        now = there
    tick(f"{iso(at)}: recording")
    run_id = record(run.workspace, run.contract, now, is_new=how in {"new", "restated"})
    found = Scored(now, how or "unchanged", run_id, deliver_to_sink(run.workspace, now))
    console.say(did(found, was_whole=is_whole))
    return found


@io_step("read the rows to be scored")
def read_key(run: ScoringRun, at: int) -> Key:
    """Read the customers at risk at a cutoff, piece by piece, and say what scores of them are made from."""
    if run.contract.by_cutoff[at].rows == 0:
        raise EmptyResultError(f"No customer is at risk on {iso(at)}. At least one was expected. Score another cutoff.")
    names = [feature.name for feature in run.contract.features]
    pieces = panel_batches(run.workspace.store.root, run.contract, at, names)
    data = rows_digest(pieces, ["customer_id", *names])
    _require_same_panel(run, at)
    return Key(
        cutoff=iso(at),
        churn_model_version=run.version("churn"),
        revenue_model_version=run.version("revenue"),
        feature_contract_hash=run.contract.feature_contract_hash,
        data=data,
        outcome_matures_at=iso(Snapshot.of(run.workspace.study.snapshot).matures_at(at)),
        churn_model_sha256=run.sealed("churn"),
        revenue_model_sha256=run.sealed("revenue"),
    )


@io_step("load the champions")
def load_models(champions: Mapping[str, Champion], contract_hash: str) -> dict[str, LoadedModel]:
    """Load the versions that the alias stood for; a mismatch of features is refused."""
    return load_champions(champions, contract_hash)


@step("score and publish")
def publish(run: ScoringRun, models: Mapping[str, LoadedModel], at: int, key: Key) -> tuple[Published, How]:
    """Score rows into a new partition, and put it in its place if panel and champions are still what they were."""
    is_latest = at == run.latest

    def tables() -> Iterator[pa.Table]:
        yield from score_tables(run, models, at)
        require_registered(run.champions)

    return publish_scores(run.workspace.store, key, tables(), stale=run.stale if is_latest else {})


def score_tables(run: ScoringRun, models: Mapping[str, LoadedModel], at: int) -> Iterator[pa.Table]:
    """Score the customers at risk at a cutoff.

    Parameters
    ----------
    run : ScoringRun
        What holds for all cutoffs.
    models : mapping of str to LoadedModel
        The champions.
    at : int
        Microseconds.

    Yields
    ------
    pyarrow.Table
        Scores in the order of ``customer_id``; memory does not grow with their number.

    Raises
    ------
    StoreError
        The panel cannot be read, or was built anew meanwhile.
    """
    study, root = run.workspace.study, run.workspace.store.root
    columns = needed(run.contract, models)
    reference = panel_sample(root, run.contract, at, columns, is_hashed=not study.is_flat)
    if study.scoring.engine is None:
        scorer = Scorer.of(study, run.contract, models, reference)
        threads = scoring_threads(study.engine, study.scoring.memory_limit, BATCH_ROWS * len(columns))
        scored = score_batches(scorer, panel_batches(root, run.contract, at, columns), threads)
    else:
        from flows.score_spark import scored_by_spark  # noqa: PLC0415 - an extra that most studies do without

        scored = scored_by_spark(study.scoring.engine, run.workspace, run.contract, at, models, reference)
    yield from in_order_of("customer_id", scored, SCORE_SCHEMA, root, study.resources, same=SAME)
    _require_same_panel(run, at)


@io_step("record the scores in MLflow")
def record(workspace: Workspace, contract: PanelContract, now: Published, *, is_new: bool) -> str:
    """Record what was scored with which versions, unless a run that did not come to its end has done so; its id."""
    tracker = open_tracker(workspace.study, workspace.store)
    marks = {"score_key": now.key.digest, "revision": str(now.revision)}
    if not is_new and (known := _recorded(tracker.client, tracker.experiment("score"), marks)) is not None:
        return known
    written = now.written
    metrics = {name: total for name, total in written.totals.items() if total is not None and name != "churn_risk"}
    risk = written.totals["churn_risk"]
    metrics |= {"customers": float(written.rows)} | ({} if risk is None else {"mean_churn_risk": risk / written.rows})
    versions = {name: value for name in _VERSIONS if (value := getattr(now.key, name)) is not None}
    tags = identity(workspace.study, contract, 0) | {"cutoff": now.key.cutoff} | versions | marks
    if now.stale:
        tags["stale_anyway"] = ", ".join(f"{table} {newest}" for table, newest in now.stale.items())
    with tracker.run("score", f"score {now.key.cutoff}", tags | {"why": ", ".join(now.why)}) as recorded:
        recorded.log_metrics(metrics)
    return recorded.run_id


def recorded_marks(workspace: Workspace) -> set[tuple[str, str]]:
    """Give digest of the key and revision of all scores that MLflow has a finished run of, in one query."""
    tracker = open_tracker(workspace.study, workspace.store)
    done = "attributes.status = 'FINISHED'"
    runs = tracker.client.search_runs([tracker.experiment("score")], done, max_results=_MOST_RUNS)
    tags = [run.data.tags for run in runs]
    return {(one.get("score_key", ""), one.get("revision", "")) for one in tags}


@step("deliver the scores")
def deliver_to_sink(workspace: Workspace, now: Published) -> bool | None:
    """Bring the scores into the study's sink; None without one."""
    sink = workspace.study.scoring.sink
    if sink is None:
        return None
    from flows.sink import deliver  # noqa: PLC0415 - imports a driver that most studies do without

    is_delivered = deliver(sink, workspace.base, now, workspace.study.name, workspace.study.resources)
    verb = "delivered to" if is_delivered else "there already in"
    console.say(f"{now.key.cutoff}: {now.written.rows:,} scores {verb} table {sink.table}")
    return is_delivered


def _require_same_panel(run: ScoringRun, at: int) -> None:
    root = run.workspace.store.root
    if _promised(existing_contract(root), at) != _promised(run.contract, at):
        raise StoreError(
            f"The panel in '{root}' was built anew while {iso(at)} was read. Rows of one panel were expected. Run the "
            "same command again."
        )


def _promised(contract: PanelContract | None, at: int) -> tuple[str, tuple[str, ...]] | None:
    """Give what a contract says of the rows of a cutoff."""
    if contract is None:
        return None
    partition = contract.by_cutoff.get(at)
    return contract.feature_contract_hash, partition.parts if partition else ()


def _recorded(client: Any, experiment: str, marks: Mapping[str, str]) -> str | None:
    wanted = " and ".join(f"tags.{name} = '{value}'" for name, value in marks.items())
    found = client.search_runs([experiment], f"{wanted} and attributes.status = 'FINISHED'", max_results=1)
    return str(found[0].info.run_id) if found else None
