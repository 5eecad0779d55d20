"""Score every customer at risk with the champion models: one partition a cutoff, made once and replaced as a whole."""

import time
from collections.abc import Sequence

from features.contract import PanelContract, read_contract
from features.errors import EmptyResultError, StoreError, StudyError, UnsupportedError, closest
from features.layout import open_layout
from features.snapshot import cutoffs_between, day_end, iso, parse_date
from flows import console
from flows.artefacts import leave
from flows.build_features import build_features, ensure_panel
from flows.catch_up import catch_up
from flows.fence import overtaken
from flows.freshness import ages, clock_warnings, present, refuse_stale, stale, told
from flows.identity import identity
from flows.run_lock import only_run
from flows.score_cutoff import ScoringRun, score_cutoff
from flows.score_told import Scored, show_scored
from flows.steps import flow
from flows.storage import Workspace, open_workspace, read_json, write_json
from flows.train import ensure_models

__all__ = ["choose_cutoff", "score"]


@flow(name="score")
def score(
    study_file: str,
    *,
    cutoff: str | None = None,
    backfill: tuple[str, str] | None = None,
    again: bool = False,
    stale_anyway: bool = False,
    now: str | None = None,
) -> None:
    """Score the customers at risk at a cutoff, or at all cutoffs between two dates.

    Parameters
    ----------
    study_file : str
        The study.
    cutoff : str, optional
        Date (YYYY-MM-DD) of a cutoff of the panel; the latest one that is not still to come when left out.
    backfill : tuple of str, optional
        First and last date of cutoffs; what was published by the same models from the same rows is passed over.
    again : bool
        Compute also what is there by the same models from the same rows.
    stale_anyway : bool
        Score data that are older than the study allows.
    now : str, optional
        ISO 8601; the clock when left out. The age of the data, and which cutoffs are still to come, depend on it.

    Raises
    ------
    DataError
        The data are older than the study allows.
    StudyError
        The date is none of the panel's cutoffs, or no date.
    EmptyResultError
        The date lies beyond the data or is still to come, or nobody is at risk then.
    ModelError
        The champion was fitted on other features, or has been withdrawn.
    StoreError
        Another run writes the store, or store or sink cannot be written.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    moment = present(now)
    span = _span(workspace, cutoff, backfill)
    with only_run(workspace.store.root / "score.lock", "score"):
        _require_sink(workspace)
        contract = ensure_panel(workspace)
        contract, cutoffs = _chosen(workspace, contract, cutoff, span, moment)
        latest = choose_cutoff(contract, None, moment)
        late = catch_up(workspace, contract, but={iso(at) for at in cutoffs})
        old = _judge_ages(workspace, moment, refuses=latest in cutoffs and not stale_anyway)
        champions = ensure_models(workspace, contract)
        run = ScoringRun(workspace, contract, champions, latest, again, old)
        found = _score_all(run, cutoffs, goes_on=span is not None)
        for note in overtaken(champions):
            console.say(note)
        write_json(workspace.store.result("score"), _result(run, found, moment))
        leave(workspace, "score")
        if late is not None:
            raise late
    _close(workspace, found, span is not None, time.perf_counter() - started)


def choose_cutoff(contract: PanelContract, wanted: str | None, now: int) -> int:
    """Find the cutoff to score: one whose midnight has come, and whose rows the data hold.

    Parameters
    ----------
    contract : PanelContract
        Knows the cutoffs of the panel and the end of the data.
    wanted : str or None
        Date (YYYY-MM-DD); None for the latest.
    now : int
        The present, microseconds. A clock that says less than the newest row is behind: that row is taken instead.

    Returns
    -------
    int
        Microseconds since 1970.

    Raises
    ------
    StudyError
        No date, or none of the cutoffs.
    EmptyResultError
        After the end of the data, or after the present.
    """
    come = [at for at in contract.cutoffs if at <= _horizon(contract, now)]
    if wanted is None:
        if not come:
            raise _not_yet(contract, min(contract.cutoffs), now)
        return max(come)
    at = parse_date(wanted)
    if at > day_end(contract.data_end):
        raise EmptyResultError(
            f"The cutoff {wanted} lies beyond the data, which end on {iso(contract.data_end)}: what was known by then "
            f"is not in the tables. Score {iso(max(contract.cutoffs))} or earlier, or bring newer data."
        )
    if at not in contract.cutoffs:
        known = [iso(one) for one in contract.cutoffs]
        raise StudyError(
            f"{wanted} is none of the {len(known)} cutoffs from {known[0]} to {known[-1]}.{closest(wanted, known)} "
            "Leave --cutoff out for the latest, or change 'snapshot' in the study."
        )
    if at not in come:
        raise _not_yet(contract, at, now)
    return at


def _horizon(contract: PanelContract, now: int) -> int:
    """Give the present as clock and data know it.

    The panel takes data to be complete to the midnight after their newest row, which on the day of that row is still to
    come: what will be known by then is not known yet.
    """
    return max(now, contract.data_end)


def _not_yet(contract: PanelContract, at: int, now: int) -> EmptyResultError:
    known = [one for one in contract.cutoffs if one <= _horizon(contract, now)]
    advice = f"Score {iso(max(known))} or earlier, or wait" if known else "Wait"
    return EmptyResultError(
        f"The cutoff {iso(at)} is still to come (00:00 UTC of that day; the data end on {iso(contract.data_end)}): "
        f"what will be known by then is not known yet. {advice} until it has passed."
    )


def _span(workspace: Workspace, cutoff: str | None, backfill: tuple[str, str] | None) -> tuple[int, int] | None:
    """Read the dates of a backfill, before anything is built for them."""
    if backfill is None:
        return None
    first, last = backfill
    if cutoff is not None:
        raise StudyError(f"--cutoff {cutoff} and --backfill {first} {last} are given. Expected one of them.")
    start, end = parse_date(first), parse_date(last)
    if start > end:
        raise StudyError(f"--backfill {first} {last}: the first date lies after the last. Give the earlier one first.")
    if workspace.study.is_flat:
        raise UnsupportedError("A flat table has waves instead of cutoffs: there is nothing to fill back.")
    return start, end


def _require_sink(workspace: Workspace) -> None:
    if workspace.study.scoring.sink is not None:
        from flows.sink import require_sink  # noqa: PLC0415 - imports a driver that most studies do without

        require_sink(workspace.study.scoring.sink, workspace.base)


def _chosen(
    workspace: Workspace, contract: PanelContract, cutoff: str | None, span: tuple[int, int] | None, now: int
) -> tuple[PanelContract, Sequence[int]]:
    """Find the cutoffs to score, and build those of a backfill that the panel lacks."""
    if span is None:
        return contract, [choose_cutoff(contract, cutoff, now)]
    first, last = iso(span[0]), iso(span[1])
    grid = cutoffs_between(workspace.study.snapshot, *span)
    beyond = [one for one in grid if one > day_end(contract.data_end)]
    if beyond:
        raise EmptyResultError(
            f"The cutoff {iso(beyond[0])} of --backfill {first} {last} lies beyond the data, which end on "
            f"{iso(contract.data_end)}. Give that date as the last, or bring newer data."
        )
    if grid and grid[-1] > _horizon(contract, now):
        raise _not_yet(contract, grid[-1], now)
    begin = open_layout(workspace.store.root).manifest.data_start
    cutoffs = [one for one in grid if one > begin]
    if not cutoffs:
        raise EmptyResultError(
            f"No cutoff of the study lies between {first} and {last} with history before it: the data reach from "
            f"{iso(begin)} to {iso(contract.data_end)}. Choose other dates."
        )
    if len(cutoffs) < len(grid):
        console.say(f"note: {console.count(len(grid) - len(cutoffs), 'cutoff')} before {iso(begin)} left out: no data")
    if not set(cutoffs) <= set(contract.cutoffs):
        console.say("The panel lacks some of these cutoffs: building them first.")
        build_features(str(workspace.study_file), backfill=(first, last))
        contract = read_contract(workspace.store.root)
    return contract, cutoffs


def _judge_ages(workspace: Workspace, now: int, *, refuses: bool) -> dict[str, str]:
    """Say how old the data are, refuse them where they are too old; the tables that are too old all the same."""
    found = ages(workspace.study, workspace.store.root, now)
    if found:
        console.say(told(found))
    for warning in clock_warnings(found, now, _last_scored(workspace)):
        console.say(warning)
    if refuses:
        refuse_stale(found)
    return stale(found)


def _last_scored(workspace: Workspace) -> int | None:
    try:
        return int((read_json(workspace.store.result("score")) or {})["scored_at"])
    except (StoreError, KeyError, TypeError, ValueError):
        return None  # what is damaged is about to be written anew


def _score_all(run: ScoringRun, cutoffs: Sequence[int], *, goes_on: bool) -> list[Scored]:
    """Score cutoff after cutoff, each published when it is done."""
    found = []
    with console.progress("score") as tick:
        for place, at in enumerate(cutoffs):

            def told_so(message: str, _done: int = 0, _total: int = 0, /, place: int = place) -> None:
                tick(message, place, len(cutoffs) if goes_on else 0)

            try:
                found.append(score_cutoff(run, at, told_so))
            except EmptyResultError as error:
                if not goes_on:
                    raise
                console.say(f"note: {error.message}")
    if not found:
        raise EmptyResultError("Nobody is at risk at any of these cutoffs. At least one customer was expected.")
    return found


def _result(run: ScoringRun, found: Sequence[Scored], now: int) -> dict[str, object]:
    """Give the content of ``score.json``: the latest cutoff, and each of them."""
    study, latest = run.workspace.study, found[-1].to_json()
    tags = identity(study, run.contract, 0)
    return {"study": study.name, **tags, **latest, "scored_at": now, "partitions": [one.to_json() for one in found]}


def _close(workspace: Workspace, found: Sequence[Scored], is_backfill: bool, seconds: float) -> None:  # noqa: FBT001
    if is_backfill:
        show_scored(found, workspace.study.currency)
    customers = sum(one.customers for one in found)
    cutoffs = [one.now.key.cutoff for one in found]
    at = cutoffs[0] if len(cutoffs) == 1 else f"{len(cutoffs)} cutoffs"
    computed = sum(one.customers for one in found if one.how != "unchanged")
    where = workspace.store.scores if is_backfill else found[-1].now.folder
    rows = f"{customers:,} customers at {at}"
    console.say(console.Closing("score", rows, f"{computed:,} scores", seconds, str(where)).line())
