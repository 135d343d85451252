"""Watches every page of every browser for what the content security policy stops.

Told in three ways, since none sees everything: by the event in the page, by the browser's line in the
console (a form that may not be sent anywhere), and by the report that it sends.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

REPORTS = "/csp-report/"
_MARK = "CSP violation:"
_LISTEN = f"""
addEventListener("securitypolicyviolation", (event) => console.error(
  `{_MARK} ${{event.effectiveDirective}} stopped ${{event.blockedURI}} on ${{event.documentURI}}`
));
"""


@contextmanager
def watch_policy() -> Iterator[list[str]]:
    """Collect the violations of every page opened meanwhile, in words."""
    found: list[str] = []

    def hear(line: ConsoleMessage) -> None:
        if line.text.startswith(_MARK) or "Content Security Policy" in line.text:
            found.append(line.text)

    def see(request: Request) -> None:
        if request.url.endswith(REPORTS):
            found.append(f"reported: {request.post_data}")

    def watch(context: BrowserContext) -> None:
        context.add_init_script(_LISTEN)
        context.on("console", hear)
        context.on("request", see)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Browser, "new_context", _watched(Browser.new_context, watch))
        patch.setattr(Browser, "new_page", _page_of_its_own)
        yield found


def _watched(
    open_context: Callable[..., BrowserContext], watch: Callable[[BrowserContext], None]
) -> Callable[..., BrowserContext]:
    @functools.wraps(open_context)
    def opened(*args: Any, **kwargs: Any) -> BrowserContext:
        context = open_context(*args, **kwargs)
        watch(context)
        return context

    return opened


def _page_of_its_own(browser: Browser, **kwargs: Any) -> Page:
    """What the library does itself, but by the way that is watched."""
    return browser.new_context(**kwargs).new_page()
