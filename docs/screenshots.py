"""Take the pictures of the README from a running site, in light colours.

    PASSWORD=… .venv/bin/python docs/screenshots.py http://127.0.0.1:8000

Meant for a fresh `make up` over a throw-away data folder, whose password stands in its last words:
the pictures show the demo. It does what a person would do: takes a card and decides a few by key,
exports, trains the small student and evaluates it, then slows the offline teacher down and looks at a
run. Some five minutes. Each picture is at most 200 kB.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from urllib.request import Request, urlopen

from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.browser import find_browser

IMAGES = Path(__file__).with_name("images")
WIDTH = 1180
MAX_BYTES = 200_000
NUM_DECIDED = 6
LONGEST_MS = 600_000


def main(site: str, password: str) -> None:
    """Take all pictures of the site."""
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser.find(),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page(base_url=site, color_scheme="light")
        _log_in(page, password)
        _take_dataset(page)
        _take_review(page)
        _take_completion(page)
        _take_training(page)
        _take_report_card(page)
        _take_run_and_dashboard(page)
        browser.close()


def _log_in(page: Page, password: str) -> None:
    page.goto("/login/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("navigation", name="Site")).to_be_visible()


def _take_dataset(page: Page) -> None:
    page.goto("/datasets/")
    page.get_by_role("main").get_by_role("link", name="demo", exact=True).first.click()
    page.get_by_role("heading", level=1).wait_for()
    _take(page, "dataset", height=1000)


def _take_review(page: Page) -> None:
    page.goto("/review/")
    page.get_by_role("main").get_by_role("button", name="Review").first.click()
    if (read := page.get_by_role("button", name="I have read them")).count():
        read.click()
    if (take := page.locator("#take")).count():
        take.click()
    page.locator("#card[data-card]").wait_for()
    for _ in range(NUM_DECIDED):
        before = page.locator("#card").get_attribute("data-card") or ""
        page.keyboard.press("a")
        expect(page.locator("#card")).not_to_have_attribute("data-card", before)
    _take(page, "review", height=760)


def _take_completion(page: Page) -> None:
    """The history of one that was regenerated and decided, if the demo has any."""
    page.goto("/completions/?attempt=2")
    page.locator("main table a").first.click()
    page.get_by_role("heading", level=1).wait_for()
    _take(page, "completion", height=760)


def _take_training(page: Page) -> None:
    """Of the demo as the gate passed it: a picture while it goes on, then its end."""
    page.goto("/exports/")
    page.get_by_label("Dataset").select_option(label="demo")
    page.get_by_label("Take what was").select_option("gate")
    # What is counted anew as one chooses says what it takes.
    expect(page.locator("#preview")).to_contain_text("passed the gate")
    page.get_by_role("button", name=re.compile(r"^Export \d")).click()
    page.get_by_role("link", name="Train a student").first.click()
    page.get_by_role("button", name="Start the training").click()
    page.wait_for_url(re.compile(r"/training/\d+/"))
    expect(page.get_by_text("highest").first).to_be_visible(timeout=LONGEST_MS)
    _take(page, "training", height=900)
    expect(page.get_by_role("button", name="Evaluate")).to_be_visible(timeout=LONGEST_MS)


def _take_report_card(page: Page) -> None:
    page.get_by_role("button", name="Evaluate").click()
    page.wait_for_url(re.compile(r"/training/evaluations/\d+/"))
    expect(page.get_by_role("link", name="Markdown")).to_be_visible(timeout=LONGEST_MS)
    _take(page, "report-card", height=1000)


def _take_run_and_dashboard(page: Page) -> None:
    _slow_the_teacher(page, latency="lognormal:4")
    page.goto("/runs/start/")
    page.get_by_label("Draws per sample").fill("3")
    page.get_by_role("button", name="Start the run").click()
    page.wait_for_url(re.compile(r"/runs/\d+/"))
    page.wait_for_timeout(16_000)
    _take(page, "run", height=860)
    page.goto("/")
    page.wait_for_timeout(1_500)
    _take(page, "dashboard", height=860)
    _slow_the_teacher(page, latency="0")


def _slow_the_teacher(page: Page, *, latency: str) -> None:
    port = os.environ.get("OFFLINE_TEACHER_PORT") or int(page.url.split(":")[2].split("/")[0]) + 10
    body = json.dumps({"faults": "moderate", "latency": latency}).encode()
    urlopen(Request(f"http://127.0.0.1:{port}/misbehave", data=body), timeout=5).close()


def _take(page: Page, name: str, *, height: int) -> None:
    page.set_viewport_size(ViewportSize(width=WIDTH, height=height))
    page.wait_for_timeout(400)
    path = IMAGES / f"{name}.png"
    size = len(page.screenshot(path=path))
    print(f"{path.name}: {size / 1000:.0f} kB")  # noqa: T201 - what this program is for
    if size > MAX_BYTES:
        raise SystemExit(f"{path.name} is larger than {MAX_BYTES / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1], os.environ["PASSWORD"])
