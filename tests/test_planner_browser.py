"""The planner's page in a browser, as a planner uses it: by mouse and by keyboard, at two widths, light and dark."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from flows.planner import Setting, open_bench
from flows.scenarios import write_scenario
from flows.storage import open_workspace
from models.cash import Cohort
from models.funding import Funding
from tests.benches import forecasts, write_simulation
from tests.served import Served, served
from tests.worths import a_forecast, an_effect

pytestmark = pytest.mark.browser

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
if BROWSER is None:
    pytest.skip("there is no Chromium on this machine", allow_module_level=True)

from axe_playwright_python.sync_playwright import Axe  # noqa: E402
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

HOSTILE = "<img src=x onerror=\"window.ran=1\"><script>window.ran=2</script> 'it' {{7*7}}"
READY = "What else could be done"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, mlflow_store: Path) -> Path:
    """Real size of draws, runs recorded before; one title is an attack."""
    good, poor, far = forecasts()
    attack = replace(far, initiative=far.initiative.model_copy(update={"title": HOSTILE}))
    path = write_simulation(tmp_path_factory.mktemp("a study"), [good, poor, attack], draws=4_000)
    shutil.copytree(mlflow_store / "mlflow", path.parent / "store" / "mlflow")
    return path


@pytest.fixture(scope="module")
def server(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(study, tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures are kept: JOURNEYLIFT_SHOTS, or pytest's own folder."""
    folder = Path(os.environ.get("JOURNEYLIFT_SHOTS") or tmp_path_factory.mktemp("shots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass
class Visit:
    """A page that is open, and what went wrong on it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def show(self, part: str) -> None:
        self.page.get_by_role("button", name=part, exact=True).click()

    def slide(self, name: str, *keys: str) -> None:
        slider = self.page.get_by_role("slider", name=name)
        for key in keys:
            slider.press(key)

    def answer(self) -> str:
        return self.page.locator("dd.wide").first.inner_text()

    def wait(self, text: str) -> None:
        self.page.get_by_text(text).first.wait_for(timeout=120_000)


@pytest.fixture
def open_page(server: Served, chromium: Browser) -> Iterator[Callable[..., Visit]]:
    opened: list[Visit] = []

    def go(width: int = 1440, scheme: str = "light") -> Visit:
        page = chromium.new_page(viewport={"width": width, "height": 1_000}, color_scheme=scheme)
        visit = Visit(page)
        page.on("console", lambda said: visit.errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: visit.errors.append(str(error)))
        page.on("request", lambda asked: visit.hosts.add(urlsplit(asked.url).hostname or ""))
        page.on("websocket", lambda asked: visit.hosts.add(urlsplit(asked.url).hostname or ""))
        page.goto(server.url)
        visit.wait(READY)
        opened.append(visit)
        return visit

    yield go
    for visit in opened:
        assert visit.errors == []
        assert visit.hosts - {""} == {"127.0.0.1"}, "a request left the machine"
        assert visit.page.evaluate("window.ran") is None, "a name was executed"
        visit.page.close()


def test_a_planner_moves_compares_funds_saves_loads_and_exports(open_page: Callable[..., Visit], study: Path) -> None:
    visit = open_page()
    page, before = visit.page, visit.answer()
    visit.slide("Reach", "Home")
    page.wait_for_function("before => document.querySelector('dd.wide').innerText != before", arg=before)
    assert "as simulated" in visit.answer()
    visit.wait("Changed: reach 80\u00a0% → 1\u00a0%.")
    visit.slide("Starts in month", "ArrowRight", "ArrowRight")
    visit.wait("start in month 1 → 3")

    visit.show("Compare")
    visit.wait("“As simulated” is worth most on average")
    with page.expect_download() as table:
        page.get_by_text("Table as CSV").click()
    assert Path(table.value.path()).read_text(encoding="utf-8").startswith("scenario,initiatives,churn")
    with page.expect_download() as chart:
        page.get_by_text("Chart as PNG").click()
    assert Path(chart.value.path()).read_bytes().startswith(b"\x89PNG")

    visit.show("Fund")
    visit.wait("Chosen among all 3 initiatives")
    page.get_by_label("Budget, EUR").fill("lots")
    page.keyboard.press("Tab")
    visit.wait("budget is 'lots'. Expected an amount of 0 or more")
    page.get_by_label("Budget, EUR").fill("1")
    page.keyboard.press("Tab")
    visit.wait("the budget is 1, below every initiative with what it needs")

    visit.show("Save and export")
    page.get_by_label("Name of this scenario").fill("Small start")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Save", exact=True).click()
    visit.wait("Saved as scenarios/small-start.yaml and recorded in MLflow as run")
    saved = yaml.safe_load((study.parent / "scenarios" / "small-start.yaml").read_text(encoding="utf-8"))
    (good,) = [one for one in saved["initiatives"] if one["name"] == "good"]
    assert (good["reach"], good["start_month"], saved["portfolio"]["budget"]) == (0.01, 3, 1.0)
    with page.expect_download() as settings:
        page.get_by_text("Settings and values as CSV").click()
    assert "good" in Path(settings.value.path()).read_text(encoding="utf-8")
    with page.expect_download() as report:
        page.get_by_text("Report of the study").click()
    assert "<html" in Path(report.value.path()).read_text(encoding="utf-8")

    again = open_page()
    again.show("Save and export")
    again.page.get_by_label("Saved scenarios").select_option("Small start")
    again.page.get_by_role("button", name="Load").click()
    again.show("Try")
    again.wait("Changed: reach 80\u00a0% → 1\u00a0%, start in month 1 → 3.")
    assert again.page.get_by_role("slider", name="Reach").get_attribute("aria-valuenow") == "1"


def test_of_two_tabs_that_save_one_name_the_second_is_told(open_page: Callable[..., Visit], study: Path) -> None:
    first, second = open_page(), open_page()
    second.slide("Reach", "Home")
    second.wait("Changed: reach")
    for visit in (first, second):
        visit.show("Save and export")
        visit.page.get_by_label("Name of this scenario").fill(HOSTILE)
        visit.page.keyboard.press("Tab")
        visit.page.get_by_role("button", name="Save", exact=True).click()
        if visit is first:
            visit.wait("Saved as scenarios/")
    second.wait("says something else. It may have been saved in another tab")
    assert len(list((study.parent / "scenarios").glob("img-*.yaml"))) == 1


def test_what_was_loaded_stays_with_its_study_and_one_that_fails_leaves_the_choice(
    chromium: Browser, tmp_path: Path
) -> None:
    one, other, third = (tmp_path / name for name in ("one", "other", "third"))
    for folder in (one, other, third):
        folder.mkdir()
    first, second = write_simulation(one), write_simulation(other, [a_forecast("elsewhere", title="Only here")])
    gone = write_simulation(third)
    bench = open_bench(first)
    saved = {"good": replace(Setting.of(bench.initiatives["good"]), reach=0.3)}
    write_scenario(bench.folder, bench.scenario("Mine", saved, Funding()))
    (bench.folder / "broken.yaml").write_text("initiatives: [{name: x}]\n", encoding="utf-8")
    options = ["--study", str(second), "--study", str(gone)]
    with served(first, tmp_path, options) as server:
        visit = Visit(chromium.new_page(viewport={"width": 1440, "height": 1_000}))
        visit.page.goto(server.url)
        visit.wait(READY)
        visit.show("Save and export")
        visit.wait("broken.yaml")
        visit.page.get_by_label("Saved scenarios").select_option("Mine")
        visit.page.get_by_role("button", name="Load").click()
        visit.show("Try")
        visit.wait("Changed: reach 80\u00a0% → 30\u00a0%.")
        study = visit.page.get_by_label("Study", exact=True)
        study.select_option(str(second))
        visit.page.get_by_role("heading", name="Only here").wait_for(timeout=120_000)
        open_workspace(gone).store.draws.unlink()
        study.select_option(str(gone))
        visit.wait("Nothing has been simulated for")
        study.select_option(str(first))
        visit.wait("Changed: reach 80\u00a0% → 30\u00a0%.")
        visit.page.close()


def test_everything_can_be_done_without_a_mouse(open_page: Callable[..., Visit]) -> None:
    visit = open_page()
    page, seen = visit.page, []
    page.locator("body").press("Tab")
    for _ in range(40):
        here = page.evaluate(_FOCUSED)
        seen.append(here)
        if here == ["slider", "Reach: customers, %"]:
            break
        page.keyboard.press("Tab")
    assert ["slider", "Reach: customers, %"] in seen, seen
    before = visit.answer()
    page.keyboard.press("Home")
    page.wait_for_function("before => document.querySelector('dd.wide').innerText != before", arg=before)
    assert page.evaluate(_FOCUSED) == ["slider", "Reach: customers, %"], "the focus stays where it was"
    page.get_by_role("button", name="Compare", exact=True).focus()
    page.keyboard.press("Enter")
    visit.wait("scenarios; the first is what the others are compared with")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    visit.wait("Saved scenarios")


_FOCUSED = """() => {
  let e = document.activeElement;
  while (e && e.shadowRoot && e.shadowRoot.activeElement) e = e.shadowRoot.activeElement;
  const named = e && e.getAttribute('aria-labelledby');
  const by = named && e.getRootNode().getElementById(named);
  return [e && e.getAttribute('role'), by ? by.innerText : ''];
}"""


def test_a_text_where_a_number_was_expected_changes_nothing(open_page: Callable[..., Visit]) -> None:
    visit = open_page()
    before = visit.answer()
    typed = visit.page.get_by_role("slider", name="Reach").locator("xpath=ancestor::div[1]").locator("input").last
    typed.click()
    visit.page.keyboard.press("Control+a")
    visit.page.keyboard.type("ninety")
    visit.page.keyboard.press("Tab")
    visit.page.wait_for_timeout(500)
    assert visit.answer() == before


def test_two_hundred_initiatives_for_a_million_customers_can_be_searched_and_moved(
    chromium: Browser, tmp_path: Path, shots: Path
) -> None:
    found = [
        a_forecast(f"i{at:03}", an_effect(churn=-0.0002 * (at % 50 + 1), se=1e-4), title=f"Idea {at:03} of many")
        for at in range(199)
    ]
    found.append(a_forecast("attack", an_effect(churn=-0.05, se=1e-4), title=HOSTILE))
    path = write_simulation(tmp_path, found, cohort=Cohort(1_000_000, 91))
    with served(path, tmp_path) as server:
        page = chromium.new_page(viewport={"width": 1440, "height": 1_000})
        visit = Visit(page)
        page.goto(server.url)
        visit.wait(READY)
        visit.wait("1,000,000 customers at risk")
        visit.wait("200 initiatives simulated")
        visit.wait("12 initiatives together")
        page.get_by_label("Initiatives in this scenario").click()
        page.keyboard.type("Idea 123")
        page.get_by_role("option", name="Idea 123 of many").click()
        page.keyboard.press("Escape")
        visit.wait("13 initiatives together")
        before = visit.answer()
        visit.slide("Reach", "Home")
        page.wait_for_function("before => document.querySelector('dd.wide').innerText != before", arg=before)
        visit.show("Fund")
        page.get_by_role("button", name="Choose among 200").click()
        visit.wait("of 8: ")
        visit.wait("Chosen among all 200 initiatives")
        page.screenshot(path=shots / "two-hundred.png", full_page=True)
        assert page.evaluate("window.ran") is None, "a name was executed"
        page.close()


# The page itself measures, from a key to the new number.
_TIMER = """() => {
  window.times = []; let from = 0; let last = document.querySelector('dd.wide').innerText;
  if (window.watch) { window.watch.disconnect(); document.removeEventListener('keydown', window.onkey, true); }
  window.onkey = () => { from = performance.now(); };
  document.addEventListener('keydown', window.onkey, true);
  window.watch = new MutationObserver(() => {
    const found = document.querySelector('dd.wide');
    if (found && found.innerText !== last && from) {
      last = found.innerText; window.times.push(performance.now() - from); from = 0;
    }
  });
  window.watch.observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


def test_a_slider_is_answered_within_half_a_second(open_page: Callable[..., Visit], shots: Path) -> None:
    visit, rounds = open_page(), []
    # The busiest of machines may be slow once; three times in a row it is the page.
    for _ in range(3):
        visit.page.evaluate(_TIMER)
        for count in range(1, 21):
            visit.slide("Reach", "PageDown" if count % 2 else "PageUp")
            visit.page.wait_for_function("count => window.times.length >= count", arg=count)
        rounds.append(sorted(visit.page.evaluate("window.times"))[18])
        if rounds[-1] < 500:
            break
    (shots / "slider.json").write_text(json.dumps({"p95_ms": rounds}), encoding="utf-8")
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    if min(rounds) >= 500 and load > 1.5:
        pytest.skip(f"{load:.1f} processes wait for each core, so {min(rounds):.0f} ms say nothing about the page")
    assert min(rounds) < 500, rounds


def test_it_answers_and_shows_its_first_number_within_five_seconds(
    chromium: Browser, study: Path, tmp_path: Path, shots: Path
) -> None:
    rounds = []
    for _ in range(2):
        began = time.perf_counter()
        with served(study, tmp_path) as server:
            answers = time.perf_counter() - began
            page = chromium.new_context().new_page()
            page.goto(server.url)
            page.locator("dd.wide").first.wait_for(timeout=120_000)
            painted = time.perf_counter() - began
            page.locator("#root dd.wide").first.wait_for(timeout=120_000)
            rounds.append((answers, painted, time.perf_counter() - began))
            page.locator("#journeylift-first").wait_for(state="detached")
            page.close()
        if rounds[-1][1] < 5:
            break
    (shots / "ready.json").write_text(json.dumps({"answers_first_number_sliders_s": rounds}), encoding="utf-8")
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    if min(painted for _, painted, _ in rounds) >= 5 and load > 1:
        pytest.skip(f"{load:.1f} processes wait for each core, so {rounds} s say nothing about the page")
    assert min(painted for _, painted, _ in rounds) < 5, rounds


_SCROLLED = """() => [...document.querySelectorAll('.planner .scroll')]
  .filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.getAttribute('aria-label'))"""


@pytest.fixture(scope="module")
def six(study: Path) -> None:
    """Scenarios with long names beside the two that are there anyway."""
    bench = open_bench(study)
    for count in range(4):
        chosen = {"good": replace(Setting.of(bench.initiatives["good"]), reach=0.3 + 0.1 * count)}
        name = f"What the {count + 2} teams of the northern call centre asked for"
        write_scenario(bench.folder, bench.scenario(name, chosen, Funding()))


@pytest.mark.usefixtures("six")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 900])
def test_the_page_fits_is_accessible_and_is_kept_as_a_picture(
    width: int, scheme: str, open_page: Callable[..., Visit], shots: Path
) -> None:
    visit = open_page(width, scheme)
    visit.slide("Reach", "ArrowLeft")
    visit.wait("Changed: reach")
    for part, text in (
        ("Try", READY),
        ("Compare", "All scenarios are counted with the same luck"),
        ("Fund", "Chosen among all"),
        ("Save and export", "Saved scenarios"),
    ):
        visit.show(part)
        visit.wait(text)
        visit.page.wait_for_timeout(300)
        wide = visit.page.evaluate("() => document.querySelector('#App').scrollWidth - window.innerWidth")
        assert wide <= 0, f"{part} is {wide} px too wide"
        assert visit.page.evaluate(_SCROLLED) == [], f"a table of {part} has to be moved sideways"
        found = [
            one for one in Axe().run(visit.page).response["violations"] if one["impact"] in {"serious", "critical"}
        ]
        assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []
        height = visit.page.evaluate("() => document.querySelector('#App').scrollHeight")
        visit.page.set_viewport_size({"width": width, "height": max(height, 400)})
        visit.page.screenshot(path=shots / f"{part.split(' ')[0].lower()}-{width}-{scheme}.png")
        visit.page.set_viewport_size({"width": width, "height": 1_000})
