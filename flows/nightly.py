"""What runs by itself: features, scores, a look at the batch, and a retraining where that look calls for one."""

from flows import console
from flows.artefacts import leave_summary, steps_shown
from flows.build_features import build_features
from flows.monitor import monitor
from flows.retrain import retrain
from flows.score import score
from flows.steps import flow
from flows.storage import open_workspace

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
    """
    workspace = open_workspace(study_file)
    with steps_shown(workspace, "nightly") as advance:
        advance(0.0, "building features")
        build_features(study_file)
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
