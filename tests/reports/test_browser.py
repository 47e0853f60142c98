"""The page in a browser: it works offline, asks for nothing, complains about nothing."""

from __future__ import annotations

import shutil

import pytest
from reports.factory import ENTRIES, failed, renamed, results

from sam_toolkit.reports import HtmlReport

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield found
        found.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Return a function that opens the report of results, with what the browser said and asked for."""

    def open_report(found, width=1200, script=True):
        context = browser.new_context(
            offline=True, viewport={"width": width, "height": 900}, java_script_enabled=script
        )
        context.set_default_timeout(300_000)  # a busy machine fails no test
        page = context.new_page()
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(HtmlReport().write(found, tmp_path)[0].as_uri())
        return page

    return open_report


@pytest.mark.parametrize("width", [1200, 1000, 800])
def test_the_page_asks_for_nothing_but_itself_and_fits_its_window(opened, tmp_path, width):
    page = opened(failed(results(models=("resnet50", "vit"))), width)
    assert not page.said
    assert [url for url in page.asked if not url.startswith("data:")] == [(tmp_path / "report.html").as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)")
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert (tmp_path / "page.png").stat().st_size > 100_000


def test_long_names_do_not_widen_the_page(opened):
    page = opened(renamed(results(), "-very-long" * 20), 1000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1000


def test_a_model_and_a_metric_can_be_chosen(opened):
    page = opened(results(models=("resnet50", "vit")))
    page.select_option("[data-filter=model]", "vit")
    assert page.locator("main [data-model=resnet50]:visible").count() == 0
    assert page.locator("main [data-model=vit]:visible").count() > 0
    page.select_option("[data-filter=metric]", "hog")
    assert page.locator("main [data-metric=ssim]:visible").count() == 0
    page.select_option("[data-filter=model]", "")
    assert page.locator("main [data-model=resnet50]:visible").count() > 0
    assert not page.said


def test_tables_are_sorted_by_a_click_on_their_head(opened):
    page = opened(results())
    table = page.locator("table.sortable").first
    column = "[...document.querySelector('table.sortable').tBodies[0].rows].map((row) => +row.cells[3].dataset.sort)"
    table.locator("th[data-metric=ssim] button").click()
    down = page.evaluate(column)
    assert down == sorted(down, reverse=True)
    table.locator("th[data-metric=ssim] button").click()
    assert page.evaluate(column) == sorted(down)
    assert table.locator("th[data-metric=ssim]").get_attribute("aria-sort") == "ascending"


def test_all_photographs_open_and_close(opened):
    page = opened(results(pictured=4))
    page.click("#plates")
    assert page.locator("details.image:not([open])").count() == 0
    page.click("#plates")
    assert page.locator("details.image[open]").count() == 0


def test_without_script_everything_is_there(opened):
    page = opened(results(), script=False)
    assert page.locator(".tools").is_hidden()
    assert page.locator("table.sortable tbody tr").first.is_visible()
    assert page.locator("figure.plot svg").first.is_visible()


def test_a_hostile_name_runs_nothing(opened):
    page = opened(renamed(results(), "<img src=x onerror=\"document.title='gone'\">"))
    assert page.title().startswith("a study")
    assert not page.said


def test_a_link_to_a_map_opens_the_photograph_that_it_is_of(opened):
    page = opened(results(pictured=4))
    assert not page.locator("details.image").last.get_attribute("open")
    last = page.locator(".picture[id]").last
    page.evaluate("location.hash = [...document.querySelectorAll('.picture[id]')].at(-1).id")
    last.wait_for(state="visible")
    box = last.bounding_box()
    assert 0 <= box["y"] <= 900


SHOWN = "[...document.querySelectorAll('main > section')].filter((each) => each.offsetHeight).map((each) => each.id)"
EVERY = "[...document.querySelectorAll('main > section')].map((each) => each.id)"


def test_experiments_can_be_read_a_page_each(opened):
    page = opened(results())
    assert page.evaluate(SHOWN) == page.evaluate(EVERY)
    page.check("#paged")
    assert page.evaluate(SHOWN) == ["verdict"]
    page.click("nav.contents a[href='#experiment-1']")
    page.locator("#experiment-1").wait_for(state="visible")  # browsers tell of the new hash when they get to it
    assert page.evaluate(SHOWN) == ["experiment-1"]
    assert page.locator("nav.contents a[aria-current]").all_inner_texts() == ["smoothgrad: samples, spread"]
    page.emulate_media(media="print")
    assert page.evaluate(SHOWN) == page.evaluate(EVERY)
    page.emulate_media(media="screen")
    page.uncheck("#paged")
    assert page.evaluate(SHOWN) == page.evaluate(EVERY)
    assert not page.said


def test_a_long_report_starts_a_page_each_and_links_lead_between_them(opened):
    page = opened(results(entries=ENTRIES * 3, pictured=1))
    assert page.evaluate(SHOWN) == ["verdict"]
    page.evaluate("location.hash = [...document.querySelectorAll('.picture[id]')].at(-1).id")
    last = page.locator(".picture[id]").last
    last.wait_for(state="visible")
    assert page.evaluate(SHOWN) == ["experiment-8"]
    assert 0 <= last.bounding_box()["y"] <= 900


def test_entries_of_one_method_are_told_apart_in_the_contents(opened):
    page = opened(results(entries=ENTRIES[1:] * 2))
    texts = page.locator("nav.contents a").all_inner_texts()
    assert len(set(texts)) == len(texts)
    assert "smoothgrad (entry 2): samples, spread" in texts
