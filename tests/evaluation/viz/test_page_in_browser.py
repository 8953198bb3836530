"""The page of one video in a real browser: it plays, shows, seeks and filters."""

import base64
import re
import shutil

import numpy as np
import pytest

from opentad_bi.evaluation.viz.page import write_page

SWITCHES = (
    "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
    "disable-component-update disable-sync hide-scrollbars window-size=1000,1300"
)
DURATION = 4.0
FORWARD = [
    {"segment": [0.5, 1.5], "label": "run", "score": 0.8},
    {"segment": [1.0, 2.0], "label": "run", "score": 0.5},
    {"segment": [0.9, 3.0], "label": "run", "score": 0.2},
    {"segment": [2.5, 3.5], "label": "jump", "score": 0.9},
    {"segment": [3.0, 3.2], "label": "jump", "score": 0.04},
    {"segment": [0.0, 1.0], "label": "swim", "score": 0.03},
]
FUSED = [{"segment": [2.0, 2.5], "label": "run", "score": 0.7}, *FORWARD[3:]]
TRUTH = [{"segment": [0.6, 1.6], "label": "run"}, {"segment": [3.5, 3.8], "label": "climb"}]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    binaries = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    binary, driver = next(filter(None, binaries), None), shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no Chromium here" if not binary else "no chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for switch in SWITCHES.split():
        options.add_argument(f"--{switch}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


class Shown:
    """A page in the browser, and what a reader sees of it."""

    def __init__(self, browser, path):
        self.browser, self.path = browser, path
        browser.get_log("browser")
        browser.get(path.as_uri())

    def js(self, code, *values):
        return self.browser.execute_script(f"return {code}", *values)

    def all(self, css):
        return [e for e in self.browser.find_elements("css selector", css) if e.is_displayed()]

    def one(self, css):
        return self.browser.find_element("css selector", css)

    def text(self, css):
        return self.one(css).text

    def until(self, condition):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.browser, 10, poll_frequency=0.02).until(lambda _: condition())

    def time(self):
        return self.js("document.getElementById('video').currentTime")

    def ready(self):
        self.until(lambda: self.js("document.getElementById('video').readyState >= 1"))
        return self

    def names(self):
        return [e.text for e in self.all(".name b")]

    def bars(self):
        return len(self.all(".lane .bar"))

    def press(self, css, *keys):
        self.one(css).send_keys(*keys)

    def click_at(self, element, part):
        from selenium.webdriver import ActionChains

        offset = round((part - 0.5) * element.rect["width"])
        ActionChains(self.browser).move_to_element_with_offset(element, offset, 0).click().perform()


@pytest.fixture
def show(browser, clip, tmp_path):
    def shown(detections, video=clip, **options):
        write_page(tmp_path / "page.html", video, detections, **options)
        return Shown(browser, tmp_path / "page.html")

    return shown


@pytest.fixture
def pair(show):
    return show({"for": FORWARD, "fused": FUSED}, truth=TRUTH, duration=DURATION).ready()


@pytest.fixture
def single(show):
    return show(FORWARD, duration=DURATION).ready()


def test_it_loads_without_a_complaint_and_asks_for_nothing(pair):
    assert pair.browser.get_log("browser") == []
    assert pair.js("document.getElementById('video').videoWidth") == 64
    fetched = pair.js("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert all(name.startswith("data:") for name in fetched)
    assert pair.text("h1") == "tiny clip.mp4"
    assert pair.text(".facts") == "0:04.0 · 2 of 4 detections shown · 3 of 4 classes shown"
    assert not pair.all("#problem, #beside")


def test_classes_stand_in_order_of_their_best_score_and_weak_ones_wait(single):
    assert single.names() == ["jump", "run"]
    single.one("#all").click()
    assert single.names() == ["jump", "run", "swim"]
    assert single.bars() == 4
    assert not single.all(".truths, #directions")


def test_true_segments_have_their_bars_in_the_row_of_their_class(pair):
    assert pair.names() == ["jump", "run", "climb"]
    rows = [len(row.find_elements("css selector", ".truths .bar")) for row in pair.all(".row")]
    assert rows == [0, 1, 1]
    bar, track = pair.all(".truths .bar")[0].rect, pair.all(".track")[0].rect
    assert (bar["x"] - track["x"]) / track["width"] == pytest.approx(0.6 / DURATION, abs=0.005)
    assert bar["width"] / track["width"] == pytest.approx(1 / DURATION, abs=0.005)


@pytest.mark.parametrize("part", [0.12, 0.55, 0.97])
def test_a_click_on_a_timeline_goes_to_that_time(single, part):
    single.click_at(single.one("#axis"), part)
    single.until(lambda: abs(single.time() - part * DURATION) < 0.02)
    single.click_at(single.all(".track")[0], 0.05)  # no bar of "jump" is there
    single.until(lambda: abs(single.time() - 0.05 * DURATION) < 0.02)


def test_a_click_on_a_bar_goes_to_its_start(single):
    for bar, start in zip(single.all(".lane .bar"), (2.5, 0.5, 1.0, 0.9), strict=True):
        single.click_at(bar, 0.1)
        single.until(lambda start=start: abs(single.time() - start) < 1e-3)


def test_the_playhead_follows_the_video(single):
    for time in (1.0, 3.0):
        single.browser.execute_script("document.getElementById('video').currentTime = arguments[0]", time)
        single.until(
            lambda t=time: abs(single.js("parseFloat(document.getElementById('playhead').style.left)") - 25 * t) < 0.1
        )
    assert single.text("#now") == "0:03.0 · jump 0.90 · run 0.20"
    single.one("#video").send_keys(" ")
    single.until(lambda: single.time() > 3.3)
    single.until(lambda: single.js("parseFloat(document.getElementById('playhead').style.left)") > 80)


def test_the_slider_hides_what_scores_less(single):
    def at(value):
        code = "const [e, v] = arguments; e.value = v; e.dispatchEvent(new Event('input'))"
        single.browser.execute_script(code, single.one("#threshold"), value)
        single.until(lambda: single.text("#remain").startswith(f"{expected[value]} of"))
        return single.bars(), len(single.all("#list tr")), single.names(), single.text("#threshold-value")

    expected = {0.1: 4, 0.5: 3, 0.51: 2, 0.9: 1, 0.0: 6}
    assert at(0.5) == (3, 3, ["jump", "run"], "0.50")
    assert at(0.51) == (2, 2, ["jump", "run"], "0.51")
    assert at(0.9) == (1, 1, ["jump"], "0.90")
    assert at(0.0) == (6, 6, ["jump", "run", "swim"], "0.00")
    assert at(0.1) == (4, 4, ["jump", "run"], "0.10")
    assert single.text("#remain") == "4 of 6 detections shown"


def test_the_slider_and_the_axis_obey_the_keyboard(single):
    from selenium.webdriver.common.keys import Keys

    assert single.text("#threshold-value") == "0.10"
    single.press("#threshold", *[Keys.ARROW_RIGHT] * 11)
    single.until(lambda: (single.text("#threshold-value"), single.bars()) == ("0.21", 3))
    single.press("#threshold", Keys.HOME)
    single.until(lambda: (single.text("#threshold-value"), single.bars()) == ("0.00", 6))
    single.press("#axis", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    single.until(lambda: single.time() == 1.0)
    assert single.one("#axis").get_attribute("aria-valuetext") == "0:01.0"
    single.press("#axis", Keys.END)
    single.until(lambda: single.time() > 3.9)


def test_another_direction_brings_its_segments(pair):
    assert [e.text for e in pair.all(".choices label")] == ["forward", "fused"]
    assert pair.js("document.querySelector('[name=direction]:checked').value") == "fused"
    assert [row.text for row in pair.all("#list tr td:last-child")] == ["0.90", "0.70"]
    pair.all(".choices label")[0].click()
    assert [row.text for row in pair.all("#list tr td:last-child")] == ["0.90", "0.80", "0.50", "0.20"]
    assert pair.bars() == 4
    assert pair.text("#remain") == "4 of 6 detections shown"
    assert len(pair.all(".truths .bar")) == 2


def test_the_list_sorts_and_seeks(single):
    def column(n):
        return [e.text for e in single.all(f"#list td:nth-child({n})")]

    assert column(5) == ["0.90", "0.80", "0.50", "0.20"]
    single.one("th [data-key=start]").click()
    assert column(2) == ["0:00.5", "0:00.9", "0:01.0", "0:02.5"]
    assert single.one("th:nth-child(2)").get_attribute("aria-sort") == "ascending"
    single.one("th [data-key=start]").click()
    assert column(2) == ["0:02.5", "0:01.0", "0:00.9", "0:00.5"]
    single.one("th [data-key=label]").click()
    assert column(1) == ["jump", "run", "run", "run"]
    single.all("#list td button")[0].send_keys("\n")
    single.until(lambda: abs(single.time() - 2.5) < 1e-3)


def test_the_curve_is_the_highest_score_at_each_moment(show):
    rng = np.random.default_rng(0)
    bounds, scores = np.sort(rng.uniform(0, DURATION, (30, 2)), axis=1).round(2), rng.uniform(0, 1, 30)
    found = [{"segment": b.tolist(), "label": "a", "score": s} for b, s in zip(bounds, scores, strict=True)]
    page = show(found, duration=DURATION)
    top = float(page.one("#threshold").get_attribute("max"))
    path = page.one(".lane path").get_attribute("d")
    steps = [(0.0, 100.0), *((float(x), float(y)) for x, y in re.findall(r"H([\d.]+)V([\d.]+)", path))]
    edges, levels = np.array(steps).T
    moments = np.setdiff1d(np.arange(0.005, DURATION, 0.01), bounds)
    covered = (bounds[:, :1] <= moments) & (moments < bounds[:, 1:])
    expected = np.max(np.where(covered, scores[:, None], 0), axis=0)
    drawn = levels[np.searchsorted(edges, moments / DURATION * 1000, side="right") - 1]
    np.testing.assert_allclose(drawn, 100 * (1 - expected / top), atol=0.02)


def test_a_pointer_over_a_bar_is_told_what_it_is(single):
    from selenium.webdriver import ActionChains

    ActionChains(single.browser).move_to_element(single.all(".lane .bar")[0]).perform()
    assert single.text("#tip") == "jump\n0:02.5 to 0:03.5 (1.0 s)\nscore 0.90"
    ActionChains(single.browser).move_to_element(single.one("h1")).perform()
    assert not single.all("#tip")


def test_words_are_never_markup(show):
    word = "</script><b id='bad'><img src=x onerror='document.body.id=1'>{{video}}"
    page = show(
        [{"segment": [0, 1], "label": word, "score": 0.5}], name=word, truth=[{"segment": [0, 1], "label": word}]
    )
    assert page.names() == [page.text("h1")] == [word]
    assert page.js("document.querySelectorAll('#bad, img, body[id]').length") == 0
    assert page.browser.get_log("browser") == []


def test_a_video_that_cannot_be_played_leaves_words_and_a_page_that_works(show, clip, tmp_path):
    page = show(FORWARD, video=("video/mp4", b"nothing" * 100), duration=DURATION)
    page.until(lambda: page.all("#problem"))
    assert "cannot play the video" in page.text("#problem") and not page.all("#video")
    page.click_at(page.all(".lane .bar")[0], 0.5)
    assert page.text("#now").startswith("0:02.5 · jump 0.90")


def test_a_linked_video_plays_and_is_missed_when_it_goes(show, clip, tmp_path):
    copy = tmp_path / "way #1" / "a b.mp4"
    copy.parent.mkdir()
    copy.write_bytes(clip.read_bytes())
    page = show(FORWARD, video=copy, embed_mb=0).ready()
    assert page.browser.get_log("browser") == []
    assert "way #1/a b.mp4" in page.text("#beside")
    page.click_at(page.all(".lane .bar")[0], 0.5)
    page.until(lambda: abs(page.time() - 2.5) < 1e-3)
    copy.unlink()
    page.browser.refresh()
    page.until(lambda: page.all("#problem"))
    assert "way #1/a b.mp4" in page.text("#problem")


def test_many_detections_are_listed_in_part_until_asked(show):
    rng = np.random.default_rng(1)
    found = [
        {"segment": [float(a), float(a) + 0.3], "label": f"class {n % 200:03d}", "score": float(s)}
        for n, (a, s) in enumerate(rng.uniform(0, 1, (2000, 2)))
    ]
    page = show(found, threshold=0, duration=DURATION)
    assert page.text("#remain") == "2000 of 2000 detections shown"
    assert page.js("document.querySelectorAll('.lane .bar').length") == 2000
    assert page.js("document.querySelectorAll('#list tr').length") == 100
    page.one("#more").click()
    assert page.js("document.querySelectorAll('#list tr').length") == 2000


def test_it_fits_a_narrow_screen(pair):
    size = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    pair.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert pair.js("document.documentElement.scrollWidth") == 360
    finally:
        pair.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_curve_stands_above_the_classes_and_pictures_below(show):
    png = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    found = [{"segment": [1.0, 2.0], "label": "fire", "score": 0.9}]
    curve = ("anomaly score", [0.0, 1.0, 2.0, 4.0], [0.1, 0.9, 0.3])
    options = {"threshold": 0.95, "curve": curve, "pictures": [(1.5, "fire at 1.5 s", png)], "duration": DURATION}
    page = show(found, **options).ready()
    assert page.browser.get_log("browser") == []
    assert page.names() == ["anomaly score"] and page.bars() == 0
    assert page.text(".facts") == "0:04.0 · 0 of 1 detection shown · 0 of 1 class shown"
    assert page.text("#now") == "0:00.0 · anomaly score 0.10"
    assert page.text("#threshold-value") == "0.95" and page.text("#curve-key").startswith("anomaly score: ")
    path = page.one(".lane path").get_attribute("d")
    steps = [(float(x), float(y)) for x, y in re.findall(r"H([\d.]+)V([\d.]+)", path)]
    expected = [(0, 0.1), (250, 0.9), (500, 0.3), (1000, 0)]
    np.testing.assert_allclose(steps, [(x, 100 * (1 - y / 0.95)) for x, y in expected], atol=0.02)
    page.one("#all").click()
    assert page.names() == ["anomaly score", "fire"]
    assert page.js("document.querySelector('#pictures img').naturalWidth") == 1
    page.one("#pictures button").click()
    page.until(lambda: abs(page.time() - 1.5) < 1e-3)
    assert page.text("#now") == "0:01.5 · anomaly score 0.90"


def test_without_a_curve_none_is_spoken_of(single):
    assert not single.all("#curve-key, #pictures")
