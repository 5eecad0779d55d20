"""What runs by itself: features, scores, a look at the batch, and a retraining where that look calls for one."""

from flows import console
from flows.artefacts import leave_summary, steps_shown
from flows.begun_retraining import begun
from flows.build_features import build_features, ensure_panel
from flows.monitor import monitor
from flows.retrain import retrain
from flows.score import score
from flows.steps import flow
from flows.storage import Workspace, open_workspace, read_json

__all__ = ["nightly"]


@flow(name="nightly")
def nightly(study_file: str, *, retrain_on_act: bool = True) -> None:
    """Build what is missing of the panel, score the latest cutoff, monitor it, and retrain where that can mend it.

    Parameters
    ----------
    study_file : str
        The study.
    retrain_on_act : bool
        False: a verdict of ``act`` is told, and nothing is trained.

    Raises
    ------
    JourneyliftError
        As the flows that it runs; what follows the one that fails does not run.

    Notes
    -----
    A night whose process died in its retraining goes on there: scored again by the new version, the batch would be
    judged as if it were another one's, and the retraining would not be told.
    """
    workspace = open_workspace(study_file)
    with steps_shown(workspace, "nightly") as advance:
        advance(0.0, "building features")
        build_features(study_file)
        if retrain_on_act and _was_retraining(workspace):
            console.say("nightly: going on with the retraining that was interrupted; scores and monitoring are done.")
        else:
            advance(0.25, "scoring")
            score(study_file)
            advance(0.5, "monitoring")
            monitor(study_file)
        if retrain_on_act:
            advance(0.75, "retraining, if monitoring calls for it")
            retrain(study_file, if_act=True)
        advance(1.0, "done")
        parts = ["features", "score", "monitor", *(["retrain"] if retrain_on_act else [])]
        leave_summary(workspace, "nightly", parts)
    console.say(f"nightly: the scores of study {workspace.study.name} are up to date.")


def _was_retraining(workspace: Workspace) -> bool:
    """Tell whether a retraining was begun by the monitoring of the panel as it is now, and did not come to its end."""
    found = begun(workspace)
    if found is None or not found.if_act:
        return False
    watched = read_json(workspace.store.result("monitor")) or {}
    return watched.get("data_fingerprint") == ensure_panel(workspace).layout_fingerprint
