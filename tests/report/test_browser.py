"""The page in a browser: nothing is fetched or complained of, tables sort, and it is readable by day, by night and on a
phone."""

import re
import shutil
from pathlib import Path

import pytest

from mgu.report.page import write_report
from mgu.study.ledger import read_study

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
DIGITS = Path(__file__).parents[2] / "results" / "digits"

#: Of every element with text of its own the contrast with what it stands on (WCAG 2.2), the pictures left out.
CONTRASTS = """() => {
  const canvas = Object.assign(document.createElement("canvas"), {width: 1, height: 1});
  const context = canvas.getContext("2d", {willReadFrequently: true});
  const paint = colours => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = rgb => rgb.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const grounds = e => e ? [...grounds(e.parentElement), getComputedStyle(e).backgroundColor] : [];
  return [...document.querySelectorAll("body *:not(svg *)")]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) && e.tagName !== "SCRIPT")
    .map(e => {
      const under = grounds(e);
      const pair = [paint(under), paint([...under, getComputedStyle(e).color])].map(luminance).sort((a, b) => a - b);
      return [(pair[1] + 0.05) / (pair[0] + 0.05), e.tagName + " " + e.textContent.trim().slice(0, 40)];
    });
}"""


#: Of every word in a picture the height of its letters in CSS pixels; of every image its width as a share of its own.
LETTERS = """() => [...document.querySelectorAll("figure svg text")].filter(e => e.textContent.trim())
  .map(e => [e.getScreenCTM(), parseFloat(getComputedStyle(e).fontSize), e.textContent])
  .map(([matrix, size, words]) => [size * Math.hypot(matrix.a, matrix.b), words])"""
SHRUNK = "() => [...document.querySelectorAll('figure img')].map(e => e.getBoundingClientRect().width / e.width)"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        path = shutil.which("chromium") or started.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no Chromium is here; `playwright install chromium` brings one")
        launched = started.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser):
    """Opens a page; what it complains of or asks for beside itself fails the test at its end."""
    wrong, contexts = [], []

    def open_page(path, *, width=1280, scheme="light", script=True):
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=script
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        allowed = (path.as_uri(), "data:")
        page.on("request", lambda request: request.url.startswith(allowed) or wrong.append(request.url[:100]))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def made_up(metered_study, tmp_path):
    write_report(metered_study, tmp_path)
    return tmp_path / "report.html"


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    shutil.copytree(DIGITS, folder, dirs_exist_ok=True)
    write_report(read_study(folder), folder)
    return folder / "report.html"


@pytest.fixture(params=["made_up", "digits"])
def report(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280, 1700])
def test_it_fits_the_screen_and_is_readable(visit, report, width, scheme):
    page = visit(report, width=width, scheme=scheme)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 100
    assert [entry for entry in contrasts if entry[0] < 4.5] == []
    lightness = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (lightness == "rgb(255, 255, 255)") == (scheme == "light")


def test_every_picture_has_words_and_is_seen(visit, report):
    page = visit(report)
    for picture in page.locator("figure svg, figure img").all():
        assert picture.get_attribute("alt") or picture.get_attribute("aria-label")
        assert picture.bounding_box()["width"] > 100
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth)")


def test_on_a_phone_pictures_scroll_in_their_box_and_their_words_are_large_enough(visit, report):
    page = visit(report, width=390)
    letters = page.evaluate(LETTERS)
    assert len(letters) > 30
    assert [entry for entry in letters if entry[0] < 11] == []
    assert page.evaluate(SHRUNK) == pytest.approx([1] * page.locator("figure img").count())
    for box in page.locator("figure .scroll:has(svg)").all():
        assert box.evaluate("box => box.scrollWidth > box.clientWidth && box.clientWidth < 390")
    assert page.locator("figure .scroll:has(svg)").count() == 3
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390


def column(page, table, header):
    """The cells of a column, top to bottom, and where its header says that it is sorted."""
    cells = page.locator(f"#{table}-table thead th").all_inner_texts()
    place = [re.sub(r"\s*[↕↑↓]$", "", cell.strip()) for cell in cells].index(header)
    values = page.locator(f"#{table}-table tbody tr > :nth-child({place + 1})")
    head = page.locator(f"#{table}-table thead th").nth(place)
    return head, [value.get_attribute("data-value") for value in values.all()]


def test_a_click_sorts_by_number_and_a_second_one_turns_it(visit, report):
    page = visit(report)
    head, before = column(page, "models", "tts")
    assert head.get_attribute("aria-sort") == "none"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, "models", "tts")[1] == sorted(before, key=float)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, "models", "tts")[1] == sorted(before, key=float, reverse=True)
    assert page.locator("#models-table [aria-sort=ascending]").count() == 0


def test_the_keyboard_sorts_by_text(visit, report):
    page = visit(report)
    head, before = column(page, "models", "model_name")
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert column(page, "models", "model_name")[1] == sorted(before)
    page.keyboard.press("Space")
    assert column(page, "models", "model_name")[1] == sorted(before, reverse=True)
    assert head.get_by_role("button").evaluate("button => button === document.activeElement")


def test_the_unknown_stays_last_and_the_grid_below(visit, made_up):
    page = visit(made_up)
    for presses in range(2):
        head, values = column(page, "models", "train_acc, %")
        head.get_by_role("button").click()
        known = [value != "" for value in column(page, "models", "train_acc, %")[1]]
        assert known == sorted(known, reverse=True), presses
        assert {True, False} == {value != "" for value in values}
    page.locator("#spending-table thead th button").nth(1).click()
    assert page.locator("#spending-table tfoot tr").inner_text().startswith("the whole grid of 2")


def test_links_lead_to_their_sections(visit, made_up):
    page = visit(made_up)
    for link in page.locator("nav a").all():
        link.click()
        assert page.locator(link.get_attribute("href")).inner_text() == link.inner_text()
        assert page.locator(link.get_attribute("href")).is_visible()


def test_all_of_it_is_there_without_a_script(visit, report):
    with_script, without = visit(report), visit(report, script=False)
    assert without.locator("button").count() == 0
    assert without.locator("#models-table tbody tr").count() == with_script.locator("#models-table tbody tr").count()
    assert without.locator("#models-table thead th").first.inner_text() == "rank"


def test_nothing_in_a_strangers_study_runs(browser, hostile_study):
    """Also where the page's own policy is out of force, which alone would stop it."""
    context = browser.new_context(bypass_csp=True)
    try:
        page = context.new_page()
        page.goto((hostile_study / "report.html").as_uri(), wait_until="networkidle")
        for button in page.locator("th button").all()[:3]:
            button.click()
        assert page.evaluate("window.ran") is None
        assert page.evaluate("document.scripts.length") == 1
        assert page.locator("iframe, [onerror], [onload], a[href^='javascript']").count() == 0
        for name in ("cost", "history", "spending"):
            page.goto((hostile_study / f"{name}.svg").as_uri())
            assert page.evaluate("window.ran") is None
    finally:
        context.close()
