"""The report's page in a real browser: offline, narrow, and in dark mode."""

import pytest
from helpers.browser import find, opened
from helpers.report import images, network

from neurofreq import report, studies
from neurofreq.studies import ModelEntry, Study

WIDE, NARROW = 1280, 360
CONTRAST = 4.5  # WCAG 2.1, level AA, for text of any size
LONG = "a network whose name is long, trained_with_words_that_do_not_break_anywhere"
SETTINGS = {
    "n_attack": 4,
    "attack_steps": 3,
    "targeted": False,
    "seeds": [0],
    "frequencies": (0.0, 0.3, 1.0),
    "corruptions": ["gaussian_noise", "brightness"],
}

# The contrast of each element that contains text, against the nearest
# background that is not transparent.
CONTRASTS = """
(() => {
  const numbers = text => text.match(/[\\d.]+/g).map(Number);
  const channel = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const luminance = text => {
    const [r, g, b] = numbers(text).slice(0, 3).map(v => channel(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (let one = element; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      const parts = numbers(color);
      if (parts.length === 3 || parts[3] === 1) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const hasText = element => [...element.childNodes].some(
    node => node.nodeType === Node.TEXT_NODE && node.data.trim());
  return [...document.body.querySelectorAll("*")].filter(hasText).map(element => {
    const pair = [getComputedStyle(element).color, behind(element)].map(luminance);
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    return [element.tagName, element.textContent.trim().slice(0, 40), ratio];
  });
})()
"""
PICTURES = """
[...document.images].map(one => [one.alt, one.complete, one.naturalWidth])
"""
# All elements that are wider than the window, except those in a scrolling box.
OUTSIDE = """
[...document.body.querySelectorAll("*")].filter(element =>
  !element.parentElement.closest(".scroll") &&
  element.getBoundingClientRect().right > innerWidth + 0.5
).map(element => element.outerHTML.slice(0, 80))
"""
SCROLLERS = """
[...document.querySelectorAll(".scroll")].map(box => ({
  overflow: getComputedStyle(box).overflowX, box: box.clientWidth,
  inside: box.scrollWidth, first: box.querySelector("tbody th").offsetWidth,
}))
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The URL of a page with all measurements, long names and a second study."""
    find()  # skip before the slow report
    kept, out = tmp_path_factory.mktemp("kept"), tmp_path_factory.mktemp("out")
    study = Study(images(), [ModelEntry(network(seed=1), LONG)], settings=SETTINGS)
    studies.run(study, kept, progress=False)
    command = f"neurofreq report --model {'x' * 200} --beside kept"
    models = {"mine <b>": network()}
    found = report.run(
        models, images(), out, beside=[kept], progress=False, command=command
    )
    return found.page.as_uri()


@pytest.fixture(scope="module")
def tab(page, tmp_path_factory):
    with opened(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


def show(tab, page, width=WIDE, scheme="light"):
    # Emulate a phone: without a viewport tag, the layout width would be 980 pixels.
    tab.command(
        "Emulation.setDeviceMetricsOverride", width=width, height=800,
        deviceScaleFactor=1, mobile=width == NARROW,
    )  # fmt: skip
    feature = {"name": "prefers-color-scheme", "value": scheme}
    tab.command("Emulation.setEmulatedMedia", features=[feature])
    tab.open(page)


def test_every_picture_is_loaded_without_a_word_or_a_request(tab, page):
    show(tab, page)
    pictures = tab.evaluate(PICTURES)
    assert [one for one in pictures if not (one[1] and one[2] > 0)] == []
    assert len(pictures) == 9
    assert tab.errors() == []
    requests = tab.requests()
    assert page in requests
    assert [
        one for one in requests if one != page and not one.startswith("data:")
    ] == []


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_nothing_reaches_out_of_the_window(tab, page, width):
    show(tab, page, width)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    # The browser must not have widened the window to fit the page.
    assert tab.evaluate("innerWidth") == width
    assert tab.evaluate(OUTSIDE) == []


def test_tables_scroll_in_their_own_box_beside_the_names(tab, page):
    show(tab, page, NARROW)
    boxes = tab.evaluate(SCROLLERS)
    assert len(boxes) == 2
    for box in boxes:
        assert box["overflow"] == "auto"
        assert box["box"] < box["inside"]
        assert box["first"] <= box["box"] / 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_is_legible(tab, page, scheme):
    show(tab, page, scheme=scheme)
    contrasts = tab.evaluate(CONTRASTS)
    assert len(contrasts) > 50
    assert [one for one in contrasts if one[2] < CONTRAST] == []


def test_the_page_is_dark_in_the_dark_and_its_pictures_are_not(tab, page):
    grounds = {}
    body = "getComputedStyle(document.body).backgroundColor"
    picture = "getComputedStyle(document.images[0]).backgroundColor"
    for scheme in ("light", "dark"):
        show(tab, page, scheme=scheme)
        grounds[scheme] = tab.evaluate(body)
        assert tab.evaluate(picture) == "rgb(255, 255, 255)"
    assert grounds["light"] != grounds["dark"]
