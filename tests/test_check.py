"""The command `journeylift check`, on a company with planted dirt: what it says, the page, the JSON."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows import cli
from flows.check import take_stock, to_json
from flows.check_page import headline, render_check
from flows.storage import open_workspace

EVIL = "<script>document.title='ran'</script>"
STUDY = f"""\
study: dirt
sources: {{customers: customers.parquet, touches: touches.parquet, churn: churn.parquet, invoices: invoices.parquet}}
customers: {{from: customers}}
touchpoints: {{from: touches}}
churn: {{from: churn}}
revenue: {{from: invoices}}
journeys: [{{name: billing, stage: use}}, {{name: "{EVIL}", stage: use}}]
measures:
  - {{name: wait, unit: min, kind: duration, direction: lower}}
  - {{name: rating, unit: points, kind: rating, direction: higher, range: [0, 10]}}
  - {{name: solved, unit: share, kind: share, direction: higher}}
snapshot: {{window_days: 60, horizon_days: 30}}
"""
CUSTOMER = "Zoë-4711"


def _tables(*, dirty: bool) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(0)
    n = 6_000
    ids = [f"c{number}" for number in range(199)] + [CUSTOMER]
    at = pd.Series(pd.Timestamp("2024-01-01 07:30", tz="UTC") + pd.to_timedelta(np.sort(rng.integers(0, 31e6, n)), "s"))
    touches = pd.DataFrame({"customer_id": rng.choice(ids, n), "occurred_at": at, "touchpoint": "call"})
    touches["journey"] = rng.choice(["billing", EVIL], n)
    touches["wait"] = rng.exponential(8, n)
    touches["rating"] = np.where(rng.random(n) < 0.5, rng.integers(0, 11, n), np.nan)
    touches["solved"] = (rng.random(n) < 0.7).astype(float)
    if dirty:
        touches["wait"] *= np.where(at >= pd.Timestamp("2024-08-01", tz="UTC"), 60, 1)
        touches.loc[rng.choice(n, 240, replace=False), "rating"] = 99
        touches.loc[rng.choice(n, 300, replace=False), "customer_id"] = "nobody"
        touches.loc[rng.choice(n, 500, replace=False), "occurred_at"] = pd.Timestamp("2024-03-15", tz="UTC")
    joined = pd.DataFrame({"customer_id": ids, "joined_at": pd.Timestamp("2023-12-01", tz="UTC")})
    left = pd.DataFrame({"customer_id": ids[:20], "churned_at": pd.Timestamp("2024-12-20", tz="UTC")})
    paid = pd.DataFrame({"customer_id": ids, "occurred_at": pd.Timestamp("2024-02-01", tz="UTC"), "amount": 5.0})
    return {"customers": joined, "touches": touches, "churn": left, "invoices": paid}


def _write(folder: Path, *, dirty: bool, seed: int | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in _tables(dirty=dirty).items():
        rows = table if seed is None else table.sample(frac=1, random_state=seed)
        rows.to_parquet(folder / f"{name}.parquet", index=False)
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    return folder / "study.yaml"


def _run(study: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    capsys.readouterr()
    assert cli.main(["check", "--study", str(study), *more]) == 0
    return capsys.readouterr().out


def _page(study: Path) -> str:
    workspace = open_workspace(study)
    return render_check(take_stock(workspace), workspace.study)


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(tmp_path_factory.mktemp("check") / "a dirty study", dirty=True)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(tmp_path_factory.mktemp("check") / "a clean study", dirty=False)


def test_findings_are_said_first_then_tables_then_where_the_page_is(
    dirty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = _run(dirty, capsys).splitlines()
    said = [line for line in lines if not line.startswith("check: ")] + lines[-1:]
    assert re.fullmatch(r"2 findings to stop for, \d to look at, \d+ to know\.", said[0])
    assert said[1].startswith("stop: wait in ")
    starts = [
        next(i for i, line in enumerate(said) if line.startswith(word)) for word in ("stop", "look", "Tables", "note")
    ]
    assert starts == sorted(starts)
    assert said[-1].endswith(str(dirty.parent / "store" / "check.html"))
    assert "customers_reached" in next(line for line in said if line.startswith("table"))


def test_planted_dirt_is_found(dirty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = _run(dirty, capsys)
    assert "like a change from minutes to seconds" in out
    assert re.search(r"look: rating holds 99 \(\d+ rows\) beside values from 0 to 10", out)
    assert re.search(
        r"look: touchpoints: \d+ rows \(5%\) are in quarantine, unknown customer: rows [\d, ]+ and \d+ more", out
    )
    assert "lie at one moment, 2024-03-15 00:00:00 UTC" in out


def test_a_healthy_study_is_short(clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = _run(clean, capsys)
    assert "Nothing was found that needs a look." in out
    assert not re.search(r"^(stop|look):", out, re.MULTILINE)
    assert len(out.splitlines()) < 30


def test_the_page_needs_nothing_from_anywhere_and_names_are_text(dirty: Path) -> None:
    page = _page(dirty)
    assert not re.search(r"https?:|@import|<script|<img|<link|\son\w+=|\ssrc=", page)
    assert "&lt;script&gt;" in page
    assert len(page.encode()) < 1_000_000


def test_the_page_is_well_formed(dirty: Path, clean: Path) -> None:
    class Outline(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []
            self.ids: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.ids += [value or "" for name, value in attrs if name == "id"]
            if tag not in {"meta", "br"}:
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    for study in (dirty, clean):
        outline = Outline()
        outline.feed(_page(study))
        assert outline.open == []
        assert len(outline.ids) == len(set(outline.ids))


def test_no_customer_is_shown_anywhere(dirty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = _run(dirty, capsys) + _page(dirty) + _run(dirty, capsys, "--json", "-")
    assert CUSTOMER not in shown
    assert "nobody" not in shown


def test_the_page_answers_every_question(dirty: Path) -> None:
    text = re.sub(r"<[^>]+>", " ", re.sub(r"<(svg|style).*?</\1>", " ", _page(dirty), flags=re.DOTALL))
    for title in (
        "dirt: is the data sound?",
        "What needs a look?",
        "Customers lost at each join",
        "Missing by month",
        "Median by month",
        "Touchpoints, busiest journeys first",
        "Order of events",
        "Times of day",
        "One moment",
        "How was this worked out?",
    ):
        assert title in text
    assert re.search(r"rows [\d, ]+ and \d+ more", text)


def test_json_carries_all_of_it_as_plain_values(dirty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(_run(dirty, capsys, "--json", "-"))
    assert {"study", "customers", "rows", "quarantined", "measures", "volumes", "findings", "stock", "notes"} <= set(
        found
    )
    assert found["findings"][0]["severity"] == "stop"
    assert set(found["findings"][0]) == {"severity", "topic", "what", "count", "unit", "remedy"}
    assert found["quarantined"][0]["examples"]
    assert {"periods", "codes", "joins", "order", "late", "clocks", "instants"} <= set(found["stock"])
    assert len(found["stock"]["periods"]) == 6


def test_a_second_check_reads_no_rows_and_gives_the_same_page(dirty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(dirty, capsys)
    manifest, page = dirty.parent / "store" / "layout" / "manifest.json", dirty.parent / "store" / "check.html"
    written, first = manifest.stat().st_mtime_ns, page.read_bytes()
    _run(dirty, capsys)
    assert manifest.stat().st_mtime_ns == written
    assert page.read_bytes() == first


def test_the_order_of_the_rows_changes_nothing_but_their_numbers(tmp_path: Path) -> None:
    studies = [_write(tmp_path / f"{seed}", dirty=True, seed=seed) for seed in (1, 2)]
    one, other = (to_json(take_stock(open_workspace(study))) for study in studies)
    numbers = re.compile(r"rows? [\d, ]+( and [\d,]+ more)?")
    texts = [numbers.sub("rows", json.dumps(found | {"quarantined": []})) for found in (one, other)]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("wave", ["", "  wave: wave\n"])
def test_a_flat_table_has_a_page_of_what_applies(tmp_path: Path, capsys: pytest.CaptureFixture[str], wave: str) -> None:
    rng = np.random.default_rng(0)
    n = 900
    frame = pd.DataFrame({"customer_id": range(n), "left": rng.integers(0, 2, n), "wave": np.arange(n) % 3})
    frame["score"] = np.where(np.arange(n) % 9 == 0, 6, rng.integers(1, 6, n))
    frame["fee"] = np.where(rng.random(n) < 0.2, np.nan, rng.exponential(30, n))
    frame.loc[5, "fee"] = -1
    frame.to_parquet(tmp_path / "f.parquet")
    text = f"study: a\nsources: {{f: f.parquet}}\nflat:\n  from: f\n  churned: left\n{wave}"
    text += "journeys: [{name: x, stage: y}]\nmeasures:\n"
    text += "  - {name: score, unit: points, kind: rating, direction: higher, journey: x}\n"
    text += "  - {name: fee, unit: EUR, kind: amount, direction: lower, journey: x, range: [0, 1000]}\n"
    (tmp_path / "study.yaml").write_text(text)
    out = _run(tmp_path / "study.yaml", capsys)
    assert "stop: score holds 6 (100 rows) beside values from 1 to 5" in out
    assert "note: The churn rate in the table is" in out
    page = (tmp_path / "store" / "check.html").read_text(encoding="utf-8")
    assert "row 6<" in page
    assert "Order of events" not in page
    assert ("Missing by wave" in page) == bool(wave)


def test_the_headline_counts_what_needs_a_look(dirty: Path, clean: Path) -> None:
    assert headline(take_stock(open_workspace(clean))) == "Nothing was found that needs a look."
    assert re.match(r"\d+ findings? to stop for, \d+ to look at", headline(take_stock(open_workspace(dirty))))
