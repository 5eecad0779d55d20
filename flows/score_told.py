"""What a person is told of scores: what a run did to each cutoff, and which revisions there are."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import pandas as pd

from flows import console
from flows.score_store import How, Published, kept_revisions, published
from flows.storage import Store, Workspace, cutoffs_in, open_workspace, write_json
from flows.wording import dash, money, percent

__all__ = ["Scored", "did", "list_revisions", "show_scored"]

_WHY: Final = {
    "first": "first scores",
    "data": "data changed",
    "model": "other model",
    "features": "other features",
    "horizon": "other horizon",
    "code": "other program",
    "repair": "the record was damaged",
}


@dataclass(frozen=True, slots=True)
class Scored:
    """What a run did to a cutoff.

    Attributes
    ----------
    now : Published
        Its current revision.
    how : str
        ``unchanged`` (nothing was computed), or as `flows.score_store.publish_scores` says.
    run_id : str
        The MLflow run that recorded this revision.
    is_delivered : bool or None
        Whether this run brought it to the sink; None without one.
    """

    now: Published
    how: How | Literal["unchanged"]
    run_id: str
    is_delivered: bool | None

    @property
    def customers(self) -> int:
        """Customers scored."""
        return self.now.written.rows

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        now, totals = self.now, self.now.written.totals
        risk = totals["churn_risk"]
        return {
            "cutoff": now.key.cutoff,
            "run_id": self.run_id,
            "how": self.how,
            "revision": now.revision,
            "why": list(now.why),
            "stale_anyway": dict(now.stale),
            **{name: value for name, value in asdict(now.key).items() if name.endswith("_version")},
            "customers": self.customers,
            "mean_churn_risk": None if risk is None else risk / self.customers,
            "expected_revenue": totals["expected_revenue"],
            "revenue_at_risk": totals["revenue_at_risk"],
            "sha256": now.written.sha256,
            "path": str(now.folder),
            "delivered": self.is_delivered,
        }


def did(one: Scored, *, was_whole: bool = True) -> str:
    """Say what a run did to a cutoff, in one line.

    Parameters
    ----------
    one : Scored
        What it did.
    was_whole : bool
        False where the file of these very scores was damaged or gone before.
    """
    cutoff, revision = one.now.key.cutoff, one.now.revision
    if one.how == "unchanged":
        return (
            f"{cutoff}: scored already by these models from these rows (revision {revision}): nothing was computed. "
            "To compute it all the same: --again"
        )
    if one.how == "equal":
        before = "the same bytes came out" if was_whole else "its file was damaged or gone and was written again"
        return f"{cutoff}: {before} (revision {revision})."
    if one.how == "restated":
        return (
            f"{cutoff}: restated as revision {revision} ({_why(one.now)}); earlier ones: journeylift score --revisions"
        )
    return f"{cutoff}: scored as revision {revision} ({_why(one.now)})."


def show_scored(found: Sequence[Scored], currency: str) -> None:
    """Show a table of many cutoffs.

    Parameters
    ----------
    found : sequence of Scored
        By cutoff.
    currency : str
        Of amounts.
    """
    rows = [
        {
            "cutoff": one.now.key.cutoff,
            "customers": one.customers,
            "mean risk": _shown(one, "churn_risk", currency),
            "revenue at risk": _shown(one, "revenue_at_risk", currency),
            "revision": one.now.revision,
            "this run": "as it was" if one.how in {"unchanged", "equal"} else _why(one.now),
        }
        for one in found
    ]
    console.show_table("scores", pd.DataFrame(rows))


def list_revisions(study_file: str, *, cutoff: str | None = None) -> None:
    """Show which revisions of the scores there are, and where.

    Parameters
    ----------
    study_file : str
        The study.
    cutoff : str, optional
        Only of this cutoff (YYYY-MM-DD).
    """
    workspace = open_workspace(study_file)
    found = [one for at in _cutoffs(workspace.store) if cutoff in {None, at} for one in _revisions(workspace.store, at)]
    listed = [_revision(workspace, one) for one in found]
    write_json(workspace.store.result("revisions"), {"study": workspace.study.name, "revisions": listed})
    if not listed:
        of = workspace.study.name if cutoff is None else f"{workspace.study.name} at {cutoff}"
        console.say(f"There are no scores of {of} yet. Make them: journeylift score")
        return
    console.show_table(f"scores of {workspace.study.name}, in {workspace.store.root}", pd.DataFrame(listed))


def _cutoffs(store: Store) -> list[str]:
    return sorted({*cutoffs_in(store.scores), *cutoffs_in(store.superseded_scores("x").parent)})


def _revisions(store: Store, cutoff: str) -> list[Published]:
    current = published(store, cutoff)
    return [*kept_revisions(store, cutoff), *([] if current is None else [current])]


def _revision(workspace: Workspace, one: Published) -> Mapping[str, Any]:
    is_current = one.folder == workspace.store.score_partition(one.key.cutoff)
    return {
        "cutoff": one.key.cutoff,
        "revision": one.revision,
        "current": "yes" if is_current else "no",
        "why": _why(one),
        "churn": one.key.churn_model_version or dash,
        "revenue": one.key.revenue_model_version or dash,
        "customers": one.written.rows,
        "where": str(one.folder.relative_to(workspace.store.root)),
    }


def _why(one: Published) -> str:
    return ", ".join(_WHY.get(why, why) for why in one.why)


def _shown(one: Scored, name: str, currency: str) -> str:
    total = one.now.written.totals[name]
    if total is None:
        return dash
    return percent(total / one.customers, 1) if name == "churn_risk" else money(total, currency)
