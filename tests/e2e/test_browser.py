"""What a person does in the browser: start a night from Airflow's form, follow it to green, read the new version in MLflow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions as seen
from selenium.webdriver.support.wait import WebDriverWait

from recsys.settings import Settings
from recsys.store import FeedbackStore
from tests.e2e.running_stack import RunningStack
from tests.integration.small_stream import write_stream

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.thorough, pytest.mark.timeout(600)]

PAGE_S, NIGHT_S = 60, 300
QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1500,1200",
)  # fmt: skip


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A running stack with likes and a few dislikes: too few to start a night by themselves."""
    started = RunningStack(tmp_path_factory.mktemp("stack"))
    try:
        started.wait_until_ready()
        with FeedbackStore.open(Settings.under(started.home).database_url) as store:
            write_stream(store, max_dislikes=10)
        yield started
    finally:
        if started.process.poll() is None:
            started.stop()


class Browser:
    """A real one, that waits for what a person would wait for."""

    def __init__(self, profile: Path) -> None:
        browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
        if browser is None or driver is None:
            pytest.fail(
                "Expected chromium and chromedriver, which scripts/test_browser.sh installs as root on Debian, found none: "
                "install them. This test is never skipped.",
                pytrace=False,
            )
        options = ChromeOptions()
        options.binary_location = browser
        for argument in (*QUIET, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        self.driver = Chrome(options=options, service=ChromeService(driver, env={**os.environ, "NO_PROXY": "*"}))

    def find(self, selector: str, seconds: float = PAGE_S) -> WebElement:
        """The first element that can be clicked, once it is there: a CSS selector, or XPath if it begins with //."""
        by = By.XPATH if selector.startswith("//") else By.CSS_SELECTOR
        wait = WebDriverWait(self.driver, seconds)
        return wait.until(seen.element_to_be_clickable((by, selector)), f"{selector} on {self.driver.current_url}")

    def read(self, words: str, seconds: float = PAGE_S) -> str:
        """The page's text, once it has these words."""
        body = (By.TAG_NAME, "body")
        WebDriverWait(self.driver, seconds).until(
            seen.text_to_be_present_in_element(body, words), f"{words!r} on {self.driver.current_url}"
        )
        return self.driver.find_element(*body).text

    def find_after_reloading(self, xpath: str) -> WebElement:
        """The same on a page that does not follow what happens: a person reloads it until a night is over."""

        def reload(driver: Chrome) -> WebElement | None:
            found = driver.find_elements(By.XPATH, xpath)
            if not found:
                driver.refresh()
            return found[0] if found else None

        return WebDriverWait(self.driver, NIGHT_S, poll_frequency=2).until(
            reload, f"{xpath} on {self.driver.current_url}"
        )

    def follow(self, link: WebElement) -> None:
        """Clicks a link that opens a tab, and goes there."""
        before = set(self.driver.window_handles)
        link.click()
        WebDriverWait(self.driver, PAGE_S).until(seen.new_window_is_opened(list(before)))
        (tab,) = set(self.driver.window_handles) - before
        self.driver.switch_to.window(tab)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    opened = Browser(tmp_path / "profile")
    yield opened
    opened.driver.quit()


def log_in(browser: Browser, stack: RunningStack) -> None:
    # A person types it into the browser's own window, which no driver reaches; from now on the browser sends it.
    credentials, address = ":".join(stack.mlflow_login()), stack.mlflow.removeprefix("http://")
    browser.driver.get(f"http://{credentials}@{address}/version")
    browser.driver.get(stack.airflow)
    browser.find("input[name=username]").send_keys("admin")
    browser.find("input[name=password]").send_keys(stack.password())
    browser.find("button[type=submit]").click()
    browser.read("Welcome")


def test_a_night_from_the_form_to_the_new_version_s_page(browser: Browser, stack: RunningStack) -> None:
    log_in(browser, stack)
    browser.driver.get(f"{stack.airflow}/dags/feedback_retraining")
    browser.find("//button[contains(., 'Trigger')]").click()
    browser.find("#element_force_reason").send_keys("first champion")
    form = browser.read("Retrain whatever the backlog, for this reason").splitlines()
    sections = ["Run Parameters", "When", "Triggers", "Model"]
    assert [line for line in form if line in sections] == sections
    first = [next(n for n, line in enumerate(form) if line.startswith(title)) for title in ("Dry run", "Force reason")]
    assert form.index("Run Parameters") < first[0] < first[1] < form.index("When"), form
    browser.find("//*[@role='dialog']//button[normalize-space()='Trigger']").click()
    WebDriverWait(browser.driver, PAGE_S).until(seen.url_contains("/runs/manual__"))
    run = browser.driver.current_url.split("?")[0]
    browser.driver.get(f"{run}/tasks/settle_backlog")  # the last one; the page of the run has the states of all
    browser.read("Success", NIGHT_S)

    browser.driver.get(f"{run}/tasks/check_backlog")
    log = browser.read("backlog: 10 new dislikes, threshold 20")
    assert "retrain: yes" in log
    assert "{'" not in log, "a dict"

    browser.driver.get(f"{run}/tasks/train_challenger/details")  # Airflow shows the links of a task here
    browser.follow(browser.find("//a[contains(., 'Model version in MLflow')]"))
    judged = browser.read("Version 1")
    assert stack.mlflow in browser.driver.current_url
    assert "dislikes" in judged

    browser.driver.get(stack.airflow)
    browser.find("//a[contains(., 'Feedback')]").click()
    WebDriverWait(browser.driver, PAGE_S).until(seen.frame_to_be_available_and_switch_to_it((By.TAG_NAME, "iframe")))
    assert "Forced: first champion" in browser.read("Last decisions")


def test_the_champion_s_page_tells_why_it_was_promoted(browser: Browser, stack: RunningStack) -> None:
    log_in(browser, stack)
    browser.driver.get(f"{stack.airflow}/feedback/")
    browser.follow(browser.find_after_reloading("//a[contains(., 'Version 2 in MLflow')]"))
    page = browser.read("Verdict: promote")
    assert "Model registry" in page.splitlines(), "MLflow is in its mode for models, not the one for language models"
    assert {"Schema", "Inputs (6)", "Outputs (6)"} <= set(page.splitlines())
    assert "Refit of version 1" in page
    assert "NDCG@10" in page
    assert "@ champion" in page
    assert "example_user" in page
    browser.find("//a[contains(., 'refit')]").click()
    assert "challenger_ndcg_at_10" in browser.read("challenger_ndcg_at_10"), "the run of the version that serves"
