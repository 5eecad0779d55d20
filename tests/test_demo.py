import json
import re
from pathlib import Path

import pandas as pd

STEPS = ("company", "features", "train", "explain", "simulate", "portfolio", "score", "report", "demo")


def test_every_flow_ends_with_rows_seconds_and_where_the_result_is(demo_dir: Path) -> None:
    said = (demo_dir / "said.txt").read_text("utf-8")
    closing = {step: re.findall(rf"^{step}: .* \d+\.\d s -> .+$", said, re.MULTILINE) for step in STEPS}
    assert {step: len(lines) for step, lines in closing.items()} == dict.fromkeys(STEPS, 1)


def test_the_demo_says_where_everything_is_and_what_to_try_next(demo_dir: Path) -> None:
    said = (demo_dir / "said.txt").read_text("utf-8")
    after = said[said.index("Where everything is") :]
    assert str(demo_dir / "report.html") in after
    assert len(re.findall(r"^  \S*(journeylift|mlflow) ", after[after.index("Try next") :], re.MULTILINE)) == 3
    assert "Traceback" not in said
    assert "prefect" not in said.lower().replace(str(demo_dir).lower(), "")


def test_the_report_opens_without_a_network(demo_dir: Path) -> None:
    page = (demo_dir / "report.html").read_text("utf-8")
    assert re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page) == []
    assert "right-first-time" in page or "Check bills before they go out" in page
    assert len(page) < 3_000_000


def test_all_results_come_from_the_same_data_and_features(demo_dir: Path) -> None:
    results = {path.stem: json.loads(path.read_text("utf-8")) for path in (demo_dir / "store" / "results").iterdir()}
    tracked = [results[name] for name in ("train", "explain", "simulate", "score")]
    assert len({one["data_fingerprint"] for one in tracked}) == 1
    assert {one["feature_contract_hash"] for one in tracked} == {results["features"]["feature_contract_hash"]}


def test_the_truth_is_read_by_no_flow(demo_dir: Path) -> None:
    code = [path for folder in ("flows", "models") for path in Path(folder).glob("*.py")]
    assert [path.name for path in code if "truth.json" in path.read_text("utf-8")] == []
    assert (demo_dir / "truth.json").is_file()


def test_scores_cover_the_customers_at_risk_at_the_latest_cutoff(demo_dir: Path) -> None:
    features = json.loads((demo_dir / "store" / "results" / "features.json").read_text("utf-8"))
    latest = features["cutoffs"][-1]
    scores = pd.read_parquet(demo_dir / "store" / "scores" / f"cutoff_date={latest}")
    panel = pd.read_parquet(demo_dir / "store" / "panel" / f"cutoff_date={latest}", columns=["customer_id"])
    assert sorted(scores["customer_id"]) == sorted(panel["customer_id"])
