"""The report: self-contained, safe, readable without a mouse, and honest about what is not there yet."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from features.errors import StoreError
from features.manifest import LayoutManifest, MeasureFound, Quarantined, RowCount, Volume
from flows.driver_table import LINEAR, driver_table, with_refits
from flows.report import Counter, DataHealth, ReportData, ReportHeader, health_of, render_report, write_report
from tests.driver_rows import reach, shares, table
from tests.premium_found import found

EVIL = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"

HEADER = ReportHeader(
    study="northline",
    currency="EUR",
    data_start="2023-07-01",
    data_end="2025-12-31",
    customers=20_000,
    rows=412_331,
    cutoffs=("2024-01-01", "2024-02-01"),
    horizon_days=91,
    months=24,
    churn_rate=0.0513,
    churn_model="boosting, version 1",
    seed=7,
)


def effects() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "journey": ["support", "usage"],
            "touchpoint": ["call", None],
            "measure": ["wait", "page_load"],
            "unit": ["min", "s"],
            "change": ["wait x 0.8", "page_load x 0.8"],
            "churn_effect": [-0.004, 0.0],
            "churn_lo": [-0.006, -0.001],
            "churn_hi": [-0.002, 0.001],
            "revenue_effect": [0.7, 0.0],
            "revenue_lo": [0.3, -0.1],
            "revenue_hi": [1.1, 0.1],
            "raw_churn_effect": [0.003, -0.005],
            "raw_revenue_effect": [-0.5, 0.2],
            "support_share": [0.9, 0.95],
            "robustness_value": [0.05, 0.001],
            "adjustment": ["tenure, segment, onboarding: promise gap", "tenure"],
            "n": [18_000, 18_000],
            "n_contacts": [5_000, 90_000],
            "verdict": ["likely", "undecided"],
        }
    )


def initiatives() -> pd.DataFrame:
    nan = math.nan
    return pd.DataFrame(
        {
            "name": ["faster", "evil", "storms"],
            "title": ["Answer the phone faster", EVIL, "Half as many storms"],
            "churn_effect": [-0.0058, 0.0001, nan],
            "churn_lo": [-0.0078, -0.0009, nan],
            "churn_hi": [-0.0038, 0.0011, nan],
            "revenue_effect": [1.1, 0.0, nan],
            "revenue_lo": [0.7, -0.2, nan],
            "revenue_hi": [1.5, 0.2, nan],
            "cost": [2e5, 1e5, nan],
            "cost_lo": [1.8e5, 9e4, nan],
            "cost_hi": [2.4e5, 1.2e5, nan],
            "npv": [4.1e5, -1.3e5, nan],
            "npv_lo": [1.8e5, -2e5, nan],
            "npv_hi": [6.4e5, -6e4, nan],
            "p_npv_positive": [0.999, 0.001, nan],
            "roi": [2.05, -1.3, nan],
            "payback_months": [9.0, nan, nan],
            "support_share": [0.93, 0.9, nan],
            "verdict": ["worth it", "not worth it", "refused"],
            "reason": ["", "", "the measure 'outage' has control: none"],
            "n": [18_000, 18_000, 0],
        }
    )


def drivers() -> pd.DataFrame:
    churn = with_refits(
        table("churn", "lower", wait="too good to be a driver: check that it is known before the outcome"),
        [pd.DataFrame({"outcome": "churn", "feature": ["room"], "share_mcfadden": 1.0, "share_mcfadden_error": 0.002,
                       "mcfadden_r2": 0.06})],
    )  # fmt: skip
    churn["driver"] = churn["driver"].replace("noise, mean (points)", EVIL)
    again = churn[churn["feature"] == "room"].assign(driver="bar, mean (points)", share=0.0)
    nothing = shares("revenue").assign(share=math.nan, quality=math.nan, reach=math.nan, warning="")
    refused = driver_table(nothing, pd.DataFrame(), reach("revenue"), pd.DataFrame(), {})
    return pd.concat([churn, again, refused], ignore_index=True)


def driver_notes() -> pd.DataFrame:
    notes = {"": "40 % give the same score to everything.", "churn": "McFadden's R² of a logistic fit is 6.0 %."}
    return pd.DataFrame(notes.items(), columns=["outcome", "note"])


def metrics() -> pd.DataFrame:
    rows = [
        ("churn", "boosting", "log_loss", 0.1908, 0.1878, 0.1938),
        ("churn", "recency-frequency", "log_loss", 0.2012, 0.1982, 0.2042),
        ("churn", "boosting", "calibration_slope", 1.03, 0.97, 1.09),
        ("revenue", "boosting", "mae", 53.9, 53.2, 54.6),
    ]
    return pd.DataFrame(rows, columns=["outcome", "candidate", "metric", "value", "lo", "hi"]).assign(n=9, fold="all")


def health() -> DataHealth:
    return DataHealth(
        counters=(Counter("Touchpoints read", 2_104_881), Counter("Customers", 20_000)),
        quarantined=pd.DataFrame({"table": ["touchpoints"], "reason": ["unknown customer"], "rows": [112]}),
        missing=pd.DataFrame({"measure": ["rating"], "n": [10], "missing_share": [0.71]}),
        volumes=pd.DataFrame(
            {"month": ["2025-01", "2025-02"], "journey": ["support", "support"], "touchpoints": [5, 6]}
        ),
        notes=("Times without a zone were read as UTC.",),
    )


def full() -> ReportData:
    bins = {"bin": [0, 1], "predicted": [0.02, 0.1], "observed": [0.03, 0.09], "lo": [0.02, 0.08], "hi": [0.04, 0.1]}
    reliability = pd.DataFrame(bins).assign(candidate="boosting", n=100)
    tables = (drivers(), effects(), initiatives(), metrics(), reliability, health(), driver_notes())
    return ReportData(HEADER, *tables, found())


@pytest.fixture(scope="module")
def page() -> str:
    return render_report(full())


def words(page: str) -> str:
    """The page as it is read: no tags, no drawing, single spaces."""
    bare = re.sub(r"<(svg|style).*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", bare)).replace("&#39;", "'").replace("&gt;", ">")


class Outline(HTMLParser):
    """Collects the elements of a page and checks that they are closed in order."""

    VOID = frozenset({"meta", "link", "br", "img", "hr", "input"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), tuple(self.open)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), tuple(self.open)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.elements if name == tag]


def test_the_page_needs_nothing_from_anywhere(page: str) -> None:
    assert "http:" not in page
    assert "https:" not in page
    assert "@import" not in page
    outline = Outline(page)
    loaders = {"script", "link", "img", "iframe", "object", "embed", "audio", "video", "source", "image", "use", "base"}
    assert not loaders & {tag for tag, _, _ in outline.elements}
    for _, attributes, _ in outline.elements:
        assert not any(name.startswith("on") or name in {"src", "srcset", "xlink:href"} for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert len(page.encode()) < 3_000_000


def test_names_with_markup_are_text_everywhere(page: str) -> None:
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


def test_the_page_is_well_formed_with_unique_ids_and_links_that_lead_somewhere(page: str) -> None:
    outline = Outline(page)
    assert outline.open == []
    ids = [attributes["id"] for _, attributes, _ in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(link["href"]).removeprefix("#") for link in outline.all("a")} <= set(ids)
    named = [attributes["aria-labelledby"] for _, attributes, _ in outline.elements if "aria-labelledby" in attributes]
    assert set(named) <= set(ids)


def test_headings_form_an_outline_without_gaps(page: str) -> None:
    levels = [int(tag[1]) for tag, _, _ in Outline(page).elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_drawing_says_in_words_what_it_shows(page: str) -> None:
    outline = Outline(page)
    figures = outline.all("figure")
    assert len(figures) == len(outline.all("svg")) == 15
    assert all(figure["role"] == "img" and len(figure["aria-label"] or "") > 20 for figure in figures)
    assert all("figure" in parents for tag, _, parents in outline.elements if tag == "svg")


def test_parts_of_a_drawing_have_no_roles_of_their_own(page: str) -> None:
    drawings = page.split("<svg")[1:]
    assert not any("role=" in one.partition("</svg>")[0] for one in drawings)


def test_value_stands_against_certainty_and_what_it_was_made_from_with_the_methods(page: str) -> None:
    text = words(page).replace("\u00a0", " ")
    assert text.index("What is it worth?") < text.index("Initiatives compared") < text.index("Value against certainty")
    assert text.index("How was this worked out?") < text.index("Made from: ")
    assert "412,331 rows of the panel; churn model boosting, version 1; seed 7" in text


def test_every_table_has_a_caption_and_scoped_headings(page: str) -> None:
    outline = Outline(page)
    assert len(outline.all("table")) == len(outline.all("caption")) == 11
    assert all(heading["scope"] in {"col", "row"} for heading in outline.all("th"))


def test_wide_tables_can_be_reached_and_scrolled_with_keys(page: str) -> None:
    outline = Outline(page)
    scrolls = [attributes for tag, attributes, _ in outline.elements if attributes.get("class") == "scroll"]
    assert len(scrolls) == 11
    assert all(one["tabindex"] == "0" and one["role"] == "region" for one in scrolls)


def test_the_best_initiative_is_told_in_a_sentence_with_units_and_interval(page: str) -> None:
    text = words(page).replace("\u00a0", " ")
    assert "“Answer the phone faster” is worth most: €410,000 over 24 months (90 % interval " in text
    assert (
        "“Answer the phone faster”: €410,000 over 24 months (90 % interval €180,000 to €640,000), "
        "> 99 % likely to pay. "
        "Of 1,000 customers 5.8 (3.8 to 7.8) fewer leave within 91 days; a customer brings €1.10 more. "
        "Its cost is earned back after 9 months."
    ) in text


def test_refused_initiatives_are_listed_with_their_reason(page: str) -> None:
    assert "Half as many storms refused the measure 'outage' has control: none" in words(page)


def test_effects_stand_before_associations_and_beside_the_raw_contrast(page: str) -> None:
    text = words(page).replace("\u00a0", " ")
    assert text.index("Effect on churn") < text.index("Association with churn")
    assert "It has the wrong sign for “support · call: wait × 0.8”." in text


def test_association_says_r2_first_and_what_it_means_and_what_is_not_ranked(page: str) -> None:
    text = words(page).replace("\u00a0", " ")
    assert "All drivers together explain 8.2 % of the variance of churn (R²). Of that part, 70 %" in text
    assert text.index("explain 8.2 %") < text.index("Share of R²")
    assert LINEAR in text
    assert "40 % give the same score to everything." in text
    assert "McFadden's R² of a logistic fit is 6.0 %." in text
    assert "The drivers of revenue are not ranked." in text


def test_a_driver_stands_under_its_journey_with_its_warning_below(page: str) -> None:
    rows = re.findall(r'<tr class="(head|under|care)">(.*?)</tr>', page, flags=re.DOTALL)
    told = [(kind, words(text).strip().replace("\u00a0", " ")) for kind, text in rows]
    assert [kind for kind, _ in told] == ["head", "under", "under", "under", "head", "under", "care", "under"]
    assert told[0][1].startswith("stay 100 % n 900")
    assert told[1][1] == (
        "room 100 % n 900 60 58 to 72 60 % 50 to 70 % 1 50 + 10 % 100 % ± 0.2 "
        "+14 12 to 16 −31 −33 to −29 +20 18 to 22 basic"
    )
    assert told[6][1].startswith("too good to be a driver")


def test_quality_compares_with_the_baseline_and_shows_the_calibration_slope(page: str) -> None:
    text = words(page)
    assert "better than the best baseline, recency-frequency (log loss 0.1908 against 0.2012)" in text
    assert "boosting 1.03 (0.97 to 1.09)" in text


def test_a_flat_table_has_no_journey_view_to_be_worth_anything() -> None:
    assert "Is the journey view worth it?" in render_report(ReportData(HEADER))
    assert "Is the journey view worth it?" not in render_report(ReportData(replace(HEADER, is_flat=True)))


def test_a_report_without_results_says_what_to_run() -> None:
    text = words(render_report(ReportData(HEADER)))
    for command in ("simulate", "explain", "train", "premium", "features"):
        assert f"Run journeylift {command}." in text


@pytest.mark.parametrize("part", ["drivers", "effects", "initiatives", "metrics", "reliability", "health", "premium"])
def test_any_part_may_stand_alone(part: str) -> None:
    assert "northline" in render_report(replace(ReportData(HEADER), **{part: getattr(full(), part)}))


def test_empty_tables_are_like_none() -> None:
    data = full()
    names = ("drivers", "effects", "initiatives", "metrics", "reliability")
    empty = {name: getattr(data, name).head(0) for name in names}
    bare = replace(ReportData(HEADER), health=data.health)
    assert render_report(replace(bare, **empty)) == render_report(bare)


def test_all_refused_initiatives_and_all_undecided_effects_still_make_a_report() -> None:
    refused = initiatives().tail(1)
    nothing = effects().assign(churn_lo=-0.01, churn_hi=0.01)
    text = words(render_report(replace(full(), initiatives=refused, effects=nothing)))
    assert "None of the initiatives is worth its cost on the evidence at hand." in text
    assert "No single improvement changes churn beyond what chance would do." in text


def records_json(table: pd.DataFrame) -> str:
    return json.dumps(table.astype(object).where(table.notna(), None).to_dict("records"))


def test_tables_that_went_through_json_give_the_same_page(page: str) -> None:
    data = full()
    names = ("drivers", "effects", "initiatives", "metrics", "reliability")
    read = {name: pd.DataFrame(json.loads(records_json(getattr(data, name)))) for name in names}
    assert render_report(replace(data, **read)) == page


def test_the_same_results_give_the_same_bytes(page: str, tmp_path: Path) -> None:
    write_report(full(), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_report_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"The report cannot be written to .* Give another path\."):
        write_report(ReportData(HEADER), tmp_path / "missing" / "report.html")


def test_the_health_of_the_data_is_read_from_the_layout() -> None:
    manifest = LayoutManifest(
        format=1,
        fingerprint="",
        inputs="",
        data_start=0,
        data_end=1,
        buckets=1,
        n_customers=2,
        rows=(RowCount(table="touchpoints", read=10, kept=8),),
        quarantined=(Quarantined(table="touchpoints", reason="unknown customer", rows=2),),
        measures=(
            MeasureFound(name="wait", n=6, missing_share=0.25, low=0, high=9, mean=3, by_journey={"support": 6}),
        ),
        journeys=(),
        levels={},
        pairs=(),
        covariates={},
        zoneless=("touchpoints.at",),
        undeclared=(),
        volumes=(Volume(month="2025-01", journey="support", touchpoints=8),),
        with_touchpoints=2,
        before_joining=1,
    )
    text = words(render_report(ReportData(HEADER, health=health_of(manifest))))
    for expected in ("Touchpoints: rows read 10", "unknown customer 2", "2 rows were put aside; wait is missing most"):
        assert expected in text
    assert "Times without a zone were read as UTC: touchpoints.at." in text


@pytest.mark.browser
def test_nothing_in_the_page_runs_in_a_browser(tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium on this machine")
    write_report(full(), tmp_path / "report.html")
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]
    command = [browser, *quiet, f"--user-data-dir={tmp_path / 'profile'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command += ["--dump-dom", (tmp_path / "report.html").as_uri()]
    dom = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    assert "<title>northline: what better journeys are worth</title>" in dom
