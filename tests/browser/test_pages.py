"""The pages in a real browser: opened, clicked, searched, printed, in light and dark, on small screens, by keyboard."""

import re

import pytest
from zoo.pages import BROWSER, NAMES

pytestmark = pytest.mark.browser
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


def shown(page, selector):
    return [one for one in page.locator(selector).all() if one.is_visible()]


def layers(page):
    """Paths of the layers that can be seen."""
    return [one.get_attribute("data-path") for one in shown(page, ".tree li[data-path]")]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
@pytest.mark.parametrize("name", NAMES)
def test_every_page_opens_fits_and_is_accessible(open_page, name, width, scheme):
    page = open_page(name, width=width, color_scheme=scheme, bypass_csp=True)
    assert page.title()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    page.evaluate((BROWSER / "axe.min.js").read_text() + "; null")
    found = page.evaluate("tags => axe.run({runOnly: {type: 'tag', values: tags}})", WCAG)["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:200], one["nodes"][0]["failureSummary"]) for one in found] == []


def test_names_do_no_harm(open_page):
    page = open_page("names")
    page.get_by_label("Search layers").fill("onerror")
    assert len(layers(page)) == 1
    assert page.locator(".tree mark").inner_text() == "onerror"
    assert page.evaluate("window.hurt") is None
    assert page.locator("main img, main script, main b:not(.terms b)").count() == page.locator("main p b").count()


def test_search(open_page):
    page = open_page("deep")
    box = page.get_by_label("Search layers")
    page.keyboard.press("/")
    assert box.evaluate("one => one === document.activeElement")
    box.fill("17.GELU")
    assert layers(page) == ["blocks.17", "blocks.17.gelu"]
    assert page.locator(".tools output").inner_text() == "1 of 200 layers"
    box.fill("no such layer")
    assert layers(page) == []
    box.press("Escape")
    assert box.input_value() == ""
    assert len(layers(page)) == 44  # the blocks, and the layers of that in which it begins
    assert page.locator(".tree mark").count() == 0


def test_filters_add_up(open_page):
    page = open_page("deep")
    error, mixed = (page.get_by_role("button", name=re.compile(words)) for words in ("error begins", "mixed"))
    error.click()
    assert layers(page) == ["blocks.20", "blocks.20.gate"]
    assert error.get_attribute("aria-pressed") == "true"
    mixed.click()
    assert page.locator(".tools output").inner_text() == "97 of 200 layers"
    page.get_by_label("Search layers").fill("30.")
    assert page.locator(".tools output").inner_text() == "4 of 200 layers"
    error.click()
    mixed.click()
    page.get_by_label("Search layers").fill("")
    assert page.locator(".tools output").inner_text() == ""


def test_a_map_is_searched_and_filtered(open_page):
    page = open_page("trace")

    def rows():
        return [one.get_attribute("data-path") for one in shown(page, "tr[data-path]")]

    assert len(rows()) == 3
    nan, dead = (page.get_by_role("button", name=re.compile(words)) for words in (r"^N NaN", r"^0 dead"))
    assert (nan.inner_text(), dead.inner_text()) == ("N NaN 2", "0 dead 1")
    nan.click()
    assert rows() == ["encoder/root", "(output out0)"]
    dead.click()
    assert len(rows()) == 3
    page.get_by_label("Search values").fill("STEM")
    assert (rows(), page.locator(".tools output").inner_text()) == (["stem"], "1 of 3 values")


def test_values_of_a_sample_are_searched(open_page):
    page = open_page("sample")
    whole = len(shown(page, "section[data-path]"))
    assert whole > 5
    page.keyboard.press("/")
    page.get_by_label("Search values").fill("wave")
    assert [one.get_attribute("data-path") for one in shown(page, "section[data-path]")] == ["waves"]
    assert [one.inner_text() for one in shown(page, ".contents li")] == ["waves out0 sample 1"]
    page.get_by_label("Search values").press("Escape")
    assert len(shown(page, "section[data-path]")) == len(shown(page, ".contents li")) == whole


def test_a_link_shows_its_layer_whatever_is_hidden(open_page):
    page = open_page("deep")
    page.get_by_label("Search layers").fill("blocks.3.")
    page.get_by_role("link", name="blocks.20.gate", exact=True).click()
    row = page.locator(".tree li[data-path='blocks.20.gate']")
    row.get_by_role("table").wait_for()
    assert page.get_by_label("Search layers").input_value() == ""
    row.get_by_role("link").click()
    page.locator(".tree li[data-path='blocks.20.gelu']").get_by_role("table").wait_for()


def test_a_page_opens_at_the_layer_that_its_address_names(open_page, pages):
    page = open_page("deep")
    place = page.locator(".tree li[data-path='blocks.33.dense']").get_attribute("id")
    page.goto(f"{pages['deep'].as_uri()}#{place}")
    page.reload()
    page.locator(".tree li[data-path='blocks.33.dense']").get_by_role("table").wait_for()


def test_the_tree_by_keyboard(open_page):
    page = open_page("deep")
    first = page.locator(".tree summary.row").first
    first.focus()

    def here():
        return page.evaluate("document.activeElement.closest('li').dataset.path")

    page.keyboard.press("ArrowDown")
    assert here() == "blocks.1"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert here() == "blocks.0.norm"
    page.keyboard.press("Enter")
    assert page.locator(".tree li[data-path='blocks.0.norm']").get_by_role("table").is_visible()
    page.keyboard.press("ArrowLeft")
    assert not page.locator(".tree li[data-path='blocks.0.norm']").get_by_role("table").is_visible()


def test_skip_link_comes_first(open_page):
    page = open_page("deep")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_the_theme_is_the_system_s_until_somebody_chooses(open_page):
    page = open_page("clean", color_scheme="dark")

    def colour():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    dark, button = colour(), page.get_by_role("button", name="Theme")
    button.click()
    assert button.inner_text() == "Theme: light"
    light = colour()
    assert light != dark
    page.reload()
    assert (button.inner_text(), colour()) == ("Theme: light", light)
    button.click()
    assert (button.inner_text(), colour()) == ("Theme: dark", dark)
    button.click()
    page.emulate_media(color_scheme="light")
    assert (button.inner_text(), colour()) == ("Theme: auto", light)


def test_without_a_script_all_is_there(open_page):
    page = open_page("deep", java_script_enabled=False)
    assert page.locator(".tools").is_hidden()
    assert page.locator("#theme").is_hidden()
    page.locator(".tree li[data-path='blocks.3'] > details > summary").click()
    assert page.locator(".tree li[data-path='blocks.3.dense']").is_visible()


def test_a_small_screen_begins_with_the_layer_that_the_picture_is_about(open_page):
    page = open_page("deep", width=400)
    box, view = (page.locator(one).first.bounding_box() for one in (".flow .here", ".scroll:has(.flow)"))
    assert view["x"] <= box["x"]
    assert box["x"] + box["width"] <= view["x"] + view["width"] + 1


@pytest.mark.parametrize("name", ["deep", "sample", "trace"])
def test_on_paper(open_page, name):
    page = open_page(name, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown(page, "#theme, .tools, .skip") == []
    assert all(badge.bounding_box()["width"] < 200 for badge in shown(page, ".badge"))
    assert page.pdf(format="A4", print_background=True).startswith(b"%PDF")


def test_pictures_are_drawn(open_page):
    page = open_page("sample")
    sizes = page.evaluate("[...document.images].map(one => [one.naturalWidth, one.naturalHeight, one.alt])")
    assert len(sizes) == 10
    assert all(width and height and words for width, height, words in sizes)
    assert [32, 32, "image of 32 by 32 of sample 1 at image out0"] in sizes
