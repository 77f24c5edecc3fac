"""Data Docs in a browser that reaches no other machine: styled, and everything that can be clicked works."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By

from recsys.errors import DataCheckError
from recsys.training.dataset.checks import ValidationConfig, validate_training_set
from tests.unit.training.dataset.test_checks import AS_OF, FIT_THROUGH, make_training_set

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--window-size=1500,1200",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of a training set with one weight that is too large."""
    folder = tmp_path_factory.mktemp("docs") / "data_docs"
    wrong = make_training_set()
    wrong.loc[3, "sample_weight"] = 1.5
    with pytest.raises(DataCheckError):
        validate_training_set(
            wrong, as_of=AS_OF, fit_through=FIT_THROUGH, previous=None, config=ValidationConfig(), docs_folder=folder
        )
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    found, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if found is None or driver is None:
        pytest.fail(
            "Expected chromium and chromedriver, found none: scripts/test_browser.sh installs them.", pytrace=False
        )
    options = ChromeOptions()
    options.binary_location = found
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    opened = Chrome(options=options, service=ChromeService(driver))
    yield opened
    opened.quit()


def shown(browser: Chrome, selector: str) -> list[str]:
    """Texts of what a person sees of a selection."""
    return [element.text for element in browser.find_elements(By.CSS_SELECTOR, selector) if element.is_displayed()]


def test_the_index_leads_to_the_results_and_to_the_suites(browser: Chrome, docs: Path) -> None:
    browser.get((docs / "index.html").as_uri())
    assert shown(browser, "#Validation-Results th")[:2] == ["Status", "Run Time"]
    assert len(shown(browser, "#Validation-Results tbody tr")) == 3
    browser.find_element(By.ID, "Expectation-Suites-tab").click()
    assert shown(browser, "#Validation-Results tbody tr") == []
    suites = shown(browser, "#Expectation-Suites tbody a")
    assert suites == ["training_set_schema", "training_set_shape", "training_set_values"]
    browser.find_element(By.LINK_TEXT, "training_set_values").click()
    assert browser.current_url.endswith("expectations/training_set_values.html")
    assert browser.get_log("browser") == [], "nothing is missing"


def test_the_failed_checks_can_be_seen_alone(browser: Chrome, docs: Path) -> None:
    (page,) = docs.glob("validations/training_set_values/**/*.html")
    browser.get(page.as_uri())
    header = browser.find_element(By.CSS_SELECTOR, ".card-header")
    assert header.value_of_css_property("border-bottom-style") == "solid", "it is styled"
    rows = "[data-toggle=table] tbody tr"
    everything = shown(browser, rows)
    browser.find_element(By.XPATH, "//label[contains(., 'Failed Only')]").click()
    failed = shown(browser, rows)
    assert 0 < len(failed) < len(everything)
    assert any("1.5" in row for row in failed), failed
    browser.find_element(By.XPATH, "//label[contains(., 'Show All')]").click()
    assert shown(browser, rows) == everything
    more = browser.find_element(By.CSS_SELECTOR, '[data-toggle="collapse"]')
    hidden = browser.find_element(By.CSS_SELECTOR, ".collapse")
    assert not hidden.is_displayed()
    more.click()
    assert hidden.is_displayed()
    assert browser.get_log("browser") == []
