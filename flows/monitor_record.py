"""What MLflow keeps of a monitoring: the verdict, and how metrics went over cutoffs."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from flows.monitor_charts import promise_chart, verdict_strip
from flows.theme import to_png
from flows.tracking import Tracker

__all__ = ["log_monitor"]


def log_monitor(tracker: Tracker, result: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """Record a monitoring in the experiment ``<study>/monitor``.

    Parameters
    ----------
    tracker : Tracker
        Where.
    result : mapping
        Content of ``monitor.json``.
    tags : mapping
        What identifies the run.

    Returns
    -------
    str
        Id of the run. Realised metrics are steps, one for each mature cutoff in order of time.
    """
    named = {**tags, "cutoff": result["cutoff"], "verdict": result["verdict"], "churn_model_version": result["version"]}
    note = "\n".join([f"**{result['verdict']}**", *(f"- {one['verdict']}: {one['text']}" for one in result["reasons"])])
    with tracker.run("monitor", f"monitor {result['cutoff']}", named, note=note) as run:
        run.log_metrics(_numbers(result))
        for step, one in enumerate(result["outcomes"]):
            values = {f"realised_{row['metric']}": row["value"] for row in one["metrics"] if row["value"] is not None}
            promised = {f"promised_{row['metric']}": row["promised"] for row in one["metrics"] if row["promised"]}
            run.log_metrics({**values, **promised, "realised_churn_rate": one["churn_rate"] or 0.0}, step)
        run.log_json(dict(result), "monitor.json")
        run.log_table(pd.DataFrame(result["features"]), "features.csv")
        run.log_bytes(to_png(verdict_strip(result["batches"])), "verdicts.png")
        if result["outcomes"]:
            run.log_bytes(to_png(promise_chart(result["outcomes"], "auc")), "promise_auc.png")
    return run.run_id


def _numbers(result: Mapping[str, Any]) -> dict[str, float]:
    found = {
        "act": float(sum(one["verdict"] == "act" for one in result["reasons"])),
        "watch": float(sum(one["verdict"] == "watch" for one in result["reasons"])),
        "customers": float(result["customers"]),
    }
    features = result["features"]
    if features:
        found["features_moved"] = float(sum(bool(row.get("aspect")) for row in features))
        found["largest_psi"] = float(features[0]["psi"])
    return found
