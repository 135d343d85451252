"""Keys in a real browser against a server that is 150 ms away: what they cost, and what gets lost.

The same hundred decisions are made twice: on the review screen, whose next cards wait in the page, and
on a page that posts, waits for the answer and swaps, as most tools do.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.delaying_proxy import delayed
from benchmarks.engine_site import Measured
from benchmarks.review_site import build_review_site
from benchmarks.served_site import new_folder, percentile, prepare, serve

if TYPE_CHECKING:
    from playwright.sync_api import Page

_SCRIPTS = Path(__file__).parent
_KEYS = "aas"
_MEANS = {"a": "accept", "s": "skip"}


def measure_keys(
    *, decisions: int, pause: float, delay: float, say: Callable[[str], None]
) -> Measured:
    """So many decisions, one each `pause` seconds, with `delay` seconds to the server."""
    # Playwright runs a loop in this thread; the database is asked between its steps all the same.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    folder = new_folder()
    prepare(folder)
    queue_id = build_review_site(5_000, 3, say)
    with serve(folder) as port, delayed(port, delay) as slow:
        lane = _decide_all(slow, queue_id, "person0", decisions, pause, swaps=False)
        say(f"look-ahead lane: {lane}")
        swap = _decide_all(slow, queue_id, "person1", decisions, pause, swaps=True)
        say(f"post, then swap: {swap}")
        keys = _count_keys(slow, queue_id)
    return {**lane, **{f"swap_{name}": value for name, value in swap.items()}, **keys}


@contextmanager
def _page_of(port: int, queue_id: int, name: str, *, swaps: bool) -> Iterator[Page]:
    from django.conf import settings
    from django.contrib.auth.models import User
    from django.test import Client
    from playwright.sync_api import sync_playwright

    from tests.browser.find_browser import find

    client = Client()
    client.force_login(User.objects.get(username=name))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    url = f"http://127.0.0.1:{port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=["--no-sandbox"])
        context = browser.new_context()
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": url}])
        context.add_init_script(path=_SCRIPTS / "review_paint.js")
        if swaps:
            context.route("**/js/review*.js", lambda route: route.abort())
            context.add_init_script(path=_SCRIPTS / "review_swap.js")
        page = context.new_page()
        page.goto(f"{url}/review/{queue_id}/")
        page.get_by_role("button", name="Take a card").click()
        page.wait_for_selector("#card[data-card]")
        if not swaps:
            page.wait_for_selector("#lane > [data-card] + [data-card]", state="attached")
        yield page
        browser.close()


def _decide_all(
    port: int, queue_id: int, name: str, decisions: int, pause: float, *, swaps: bool
) -> dict[str, Any]:
    with _page_of(port, queue_id, name, swaps=swaps) as page:
        page.wait_for_timeout(500)
        began = time.perf_counter()
        for number in range(decisions):
            time.sleep(max(0.0, began + number * pause - time.perf_counter()))
            page.keyboard.press(_KEYS[number % len(_KEYS)])
        page.wait_for_timeout(3_000)
        pressed: list[dict[str, Any]] = page.evaluate("window.pressed")
        painted: list[float] = page.evaluate("window.painted")
    return _compare(name, pressed, painted)


def _compare(name: str, pressed: list[dict[str, Any]], painted: list[float]) -> dict[str, Any]:
    """What was pressed on which card, beside what is stored."""
    from distill.models import Decision
    from review.models import Slot

    completion_of = dict(Slot.objects.values_list("id", "completion"))
    stored = {
        one.completion_id: one.kind
        for one in Decision.objects.filter(reviewer__username=name).order_by("id")
    }
    wanted = {completion_of[int(one["slot"])]: _MEANS[one["key"]] for one in pressed if one["slot"]}
    return {
        "key_to_paint_p50_ms": percentile([ms / 1000 for ms in painted], 50),
        "key_to_paint_p95_ms": percentile([ms / 1000 for ms in painted], 95),
        "key_to_paint_max_ms": percentile([ms / 1000 for ms in painted], 100),
        "pressed": len(pressed),
        "stored": len(stored),
        "lost": len(pressed) - len(stored),
        "misapplied": sum(stored.get(pk, kind) != kind for pk, kind in wanted.items())
        + len(stored.keys() - wanted.keys()),
    }


def _count_keys(port: int, queue_id: int) -> Measured:
    """How many keys an accept takes, and a rejection with its reason."""
    from distill.models import Decision

    counted = {}
    with _page_of(port, queue_id, "person2", swaps=False) as page:
        for name, keys in (("accept", "a"), ("reject", "x3")):
            page.wait_for_timeout(500)
            before = Decision.objects.filter(kind=name).count()
            for num_pressed, key in enumerate(keys, start=1):
                page.keyboard.press(key)
                page.wait_for_timeout(800)
                if Decision.objects.filter(kind=name).count() > before:
                    counted[f"keys_per_{name}"] = num_pressed
    return counted
