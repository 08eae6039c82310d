"""The page as a reader has it: in Chromium, with a mouse, with keys, on a phone."""

import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tuner.dashboard import write_page
from tuner.dashboard.server import serving
from tuner.trials import Trial, load_trials

MakeSearch = Callable[[Path, int], Path]

RATIO = """
const channels = (text) => text.match(/[\\d.]+/g).map(Number);
const light = (colour) => channels(colour).slice(0, 3)
  .map((c) => c / 255)
  .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const solid = (element) => {
  const colour = getComputedStyle(element).backgroundColor;
  return channels(colour)[3] === 0 ? solid(element.parentElement) : colour;
};
const style = getComputedStyle(arguments[0]);
const ink = light(arguments[0].closest("svg") ? style[arguments[1]] : style.color);
const paper = light(solid(arguments[0]));
return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
"""


@pytest.fixture(scope="module")
def driver() -> Iterator[Chrome]:
    browser, service = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or service is None:
        missing = (
            "Chromium or its driver is not installed; apt-get install chromium "
            "chromium-driver"
        )
        if os.environ.get("MRI_REQUIRE_TOOLS") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # In a container there is neither a sandbox for root nor much shared memory.
    words = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage"]
    for word in words:
        options.add_argument(word)
    chrome = Chrome(options=options, service=Service(service))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def search(make_search: MakeSearch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_search(tmp_path_factory.mktemp("tune") / "made-up", 30)
    # Of a search that changed long ago, a page does not load itself again in a test.
    long_ago = time.time() - 7200
    for path in folder.glob("trial-*/*"):
        os.utime(path, (long_ago, long_ago))
    return folder


@pytest.fixture
def page(driver: Chrome, search: Path) -> Iterator[Chrome]:
    """The page, just opened; at the end the console must be empty."""
    show(driver)
    path = write_page(search)
    driver.get(path.as_uri())
    driver.execute_script(
        "sessionStorage.clear(); removeEventListener('pagehide', remember)"
    )
    driver.get(path.as_uri())
    yield driver
    assert driver.get_log("browser") == []


def show(driver: Chrome, width: int = 1280, scheme: str = "light") -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1}
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {**size, "mobile": width < 600}
    )
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def text_of(page: Chrome, name: str) -> str:
    return page.find_element(By.ID, name).text


def listed(page: Chrome) -> list[str]:
    """Names of the trials in the table, from the top."""
    return page.execute_script(
        "return [...document.querySelectorAll('#trials tbody button')]"
        ".map(button => button.textContent)"
    )


def axis(page: Chrome, name: str, end: str) -> WebElement:
    return page.find_element(
        By.CSS_SELECTOR, f"[role=slider][aria-label='{name}, {end}']"
    )


def press(page: Chrome, *keys: str) -> None:
    actions = ActionChains(page)
    for key in keys:
        actions.send_keys(key)
    actions.perform()


def tab_to(page: Chrome, wanted: str) -> None:
    """Presses Tab until an element of some id has the focus."""
    for _ in range(80):
        press(page, Keys.TAB)
        if page.switch_to.active_element.get_attribute("id") == wanted:
            return
    pytest.fail(f"{wanted} is not reached by the Tab key")


def completed(search: Path) -> list[Trial]:
    return [trial for trial in load_trials(search) if trial.score is not None]


def test_the_head_counts_the_trials_and_names_the_best(page: Chrome, search: Path):
    best = min(completed(search), key=lambda trial: trial.score or 0)
    assert best.name in text_of(page, "best-name")
    assert float(text_of(page, "best-score")) == pytest.approx(best.score, rel=1e-3)
    counts = [
        text_of(page, f"count-{one}") for one in ("completed", "failed", "rejected")
    ]
    assert counts == ["24", "3", "3"]


def test_a_columns_button_sorts_and_sorts_the_other_way(page: Chrome, search: Path):
    by_score = sorted(completed(search), key=lambda trial: trial.score or 0)
    assert listed(page)[:24] == [trial.name for trial in by_score]
    page.find_element(By.ID, "sort-parameters").click()
    rising = [trial.name for trial in completed(search)]
    assert listed(page)[:24] == rising
    page.find_element(By.ID, "sort-parameters").click()
    assert listed(page)[:24] == rising[::-1]
    head = page.find_element(By.CSS_SELECTOR, "th[data-key=parameters]")
    assert head.get_attribute("aria-sort") == "descending"


def test_dragging_a_handle_filters_table_and_charts(page: Chrome, search: Path):
    handle = axis(page, "blocks", "at least")
    ActionChains(page).drag_and_drop_by_offset(handle, 0, -290).perform()
    kept = [trial.name for trial in load_trials(search) if trial.values["blocks"] == 4]
    assert sorted(listed(page)) == kept
    assert text_of(page, "kept").startswith(f"{len(kept)} of 30 trials")
    dots = page.find_elements(By.CSS_SELECTOR, "#best circle:not(.out)")
    names = [trial.name for trial in completed(search)]
    assert len(dots) == len(set(kept) & set(names))
    page.find_element(By.ID, "clear").click()
    assert len(listed(page)) == 30


def test_all_of_it_works_by_keys_alone(page: Chrome, search: Path):
    handle = axis(page, "blocks", "at least")
    tab_to(page, handle.get_attribute("id") or "")
    press(page, Keys.ARROW_UP)
    kept = [trial.name for trial in load_trials(search) if trial.values["blocks"] >= 3]
    assert sorted(listed(page)) == kept
    assert handle.get_attribute("aria-valuetext") == "3"
    press(page, Keys.ESCAPE)
    assert len(listed(page)) == 30
    tab_to(page, "sort-name")
    press(page, Keys.ENTER)
    assert listed(page) == [trial.name for trial in load_trials(search)]
    tab_to(page, "pick-trial-0000")
    press(page, Keys.ARROW_DOWN, Keys.ENTER)
    assert text_of(page, "chosen").startswith("trial-0001, completed")
    assert page.switch_to.active_element.get_attribute("id") == "pick-trial-0001"
    assert page.find_elements(By.CSS_SELECTOR, "#curves .line.chosen")


def test_what_the_reader_chose_outlives_a_reload(page: Chrome, search: Path):
    page.find_element(By.ID, "sort-name").click()
    axis(page, "blocks", "at least").send_keys(Keys.END)
    page.find_element(By.ID, "pause").click()
    before = listed(page)
    page.refresh()
    assert listed(page) == before
    assert len(before) < 30
    assert page.find_element(By.ID, "pause").get_attribute("aria-pressed") == "true"
    assert page.switch_to.active_element.get_attribute("id") == "pause"


def test_new_data_keep_focus_and_filter(page: Chrome):
    axis(page, "blocks", "at least").send_keys(Keys.END)
    focused = page.switch_to.active_element.get_attribute("id")
    before = listed(page)
    page.execute_script(
        "understand(document.getElementById('data').textContent); drawAll()"
    )
    assert listed(page) == before
    assert page.switch_to.active_element.get_attribute("id") == focused


def test_every_chart_is_drawn_and_named(page: Chrome):
    for name in (
        "parallel",
        "best",
        "curves",
        "pareto",
        "importance",
        "seconds",
        "memory",
    ):
        svg = page.find_element(By.CSS_SELECTOR, f"#{name} svg")
        for attribute in ("aria-labelledby", "aria-describedby"):
            told = page.find_element(By.ID, svg.get_attribute(attribute) or "")
            assert told.get_attribute("textContent")
        assert "NaN" not in (svg.get_attribute("innerHTML") or "")


def test_the_front_holds_what_nothing_beats(page: Chrome, search: Path):
    trials = completed(search)
    unbeaten = [
        one.name
        for one in trials
        if not any(
            (other.milliseconds, other.accuracy) != (one.milliseconds, one.accuracy)
            and (other.milliseconds or 0) <= (one.milliseconds or 0)
            and (other.accuracy or 0) >= (one.accuracy or 0)
            for other in trials
        )
    ]
    told = page.execute_script(
        "return [...document.querySelectorAll('#pareto circle.best title')]"
        ".map(title => title.textContent)"
    )
    assert sorted(one.split(":")[0] for one in told) == unbeaten


def test_what_a_trial_says_is_shown_as_text(page: Chrome):
    page.find_element(By.ID, "sort-status").click()
    assert page.find_elements(By.XPATH, "//td[text()='3 ms <b>a slice</b>']")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_have_contrast(page: Chrome, scheme: str):
    show(page, scheme=scheme)
    texts = [
        "h1",
        ".soft",
        "caption",
        "#trials th button",
        "td",
        ".figures div",
        "#pause",
    ]
    for selector in texts:
        element = page.find_element(By.CSS_SELECTOR, selector)
        assert page.execute_script(RATIO, element, "color") >= 4.5, selector
    label = page.find_element(By.CSS_SELECTOR, "#best text")
    assert page.execute_script(RATIO, label, "fill") >= 4.5
    for selector, kind in (("#importance .bar", "fill"), ("#best .front", "stroke")):
        element = page.find_element(By.CSS_SELECTOR, selector)
        assert page.execute_script(RATIO, element, kind) >= 3, selector


def test_on_a_phone_only_table_and_axes_scroll_sideways(page: Chrome, search: Path):
    show(page, width=390)
    page.refresh()
    root = "document.documentElement"
    assert page.execute_script(f"return {root}.scrollWidth") <= 390
    button = page.find_element(By.ID, "sort-score")
    assert button.size["height"] >= 24
    button.click()
    worst = max(completed(search), key=lambda trial: trial.score or 0)
    assert listed(page)[0] == worst.name


def test_a_search_without_trials_says_so(driver: Chrome, tmp_path: Path):
    driver.get(write_page(tmp_path).as_uri())
    assert text_of(driver, "status") == "No trial yet"
    assert driver.get_log("browser") == []


def test_an_open_file_follows_the_search(
    driver: Chrome, make_search: MakeSearch, tmp_path: Path
):
    path = write_page(make_search(tmp_path, 5))
    driver.get(path.as_uri())
    driver.find_element(By.ID, "sort-name").click()
    assert len(listed(driver)) == 5
    write_page(make_search(tmp_path, 6))
    driver.execute_script("refresh()")
    WebDriverWait(driver, 30).until(lambda page: len(listed(page)) == 6)
    assert listed(driver) == [trial.name for trial in load_trials(tmp_path)]
    assert driver.get_log("browser") == []


def test_a_served_page_follows_the_search_and_says_when_it_cannot(
    driver: Chrome, make_search: MakeSearch, tmp_path: Path
):
    path = write_page(make_search(tmp_path, 5))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with serving(path, port):
        driver.get(f"http://127.0.0.1:{port}/")
        driver.find_element(By.ID, "sort-name").click()
        write_page(make_search(tmp_path, 6))
        driver.execute_script("return refresh()")
        assert listed(driver) == [trial.name for trial in load_trials(tmp_path)]
        assert driver.get_log("browser") == []
    driver.execute_script("return refresh()")
    assert driver.find_element(By.ID, "lost").is_displayed()
    assert len(listed(driver)) == 6
    driver.get("about:blank")
    driver.get_log("browser")  # of the refused connection, which the next test has not
