"""What earlier runs published and did not record or deliver: brought in by the next run, whatever it scores itself."""

from collections.abc import Collection

from features.contract import PanelContract
from features.errors import StoreError
from flows import console
from flows.score_cutoff import deliver_to_sink, record, recorded_marks
from flows.score_store import Published, published
from flows.storage import Workspace, cutoffs_in

__all__ = ["catch_up"]


def catch_up(workspace: Workspace, contract: PanelContract, *, but: Collection[str] = ()) -> StoreError | None:
    """Record and deliver every published cutoff that MLflow or the sink lacks.

    Parameters
    ----------
    workspace : Workspace
        The study and its store.
    contract : PanelContract
        Contract of the panel.
    but : collection of str
        Cutoffs (YYYY-MM-DD) that this run scores, records and delivers itself.

    Returns
    -------
    StoreError or None
        What the sink said when it took them not: to be raised when the run has published what it computes, which
        shall not wait for a database.

    Notes
    -----
    Where nothing is missing this costs one query to MLflow and one to the sink. Scores whose file is damaged are told
    and left out.
    """
    names = [name for name in cutoffs_in(workspace.store.scores) if name not in but]
    found = [one for name in names if (one := published(workspace.store, name)) is not None]
    if not found:
        return None
    known = recorded_marks(workspace)
    for one in found:
        if (one.key.digest, str(one.revision)) not in known:
            record(workspace, contract, one, is_new=False)
    try:
        for one in _undelivered(workspace, found):
            if one.is_whole():
                deliver_to_sink(workspace, one)
            else:
                again = f"journeylift score --cutoff {one.key.cutoff}"
                console.say(f"note: the scores of {one.key.cutoff} are damaged and were not delivered: {again}")
    except StoreError as error:
        return error
    return None


def _undelivered(workspace: Workspace, found: list[Published]) -> list[Published]:
    sink = workspace.study.scoring.sink
    if sink is None:
        return []
    from flows.sink import undelivered  # noqa: PLC0415 - imports a driver that most studies do without

    return undelivered(sink, workspace.base, found)
