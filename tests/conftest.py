"""What all tests share: one throw-away PostgreSQL, an own data folder each, the browser.

The server is started once, by pytest's first process, and stopped when that ends; its xdist
workers find it by an environment variable and make a database each. With DATABASE_URL set, the
tests make their databases on that server instead.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nexa_site import keeper, postgres
from tests.browser import find_browser, violations

SOCKETS = "NEXA_TEST_SOCKETS"
# Playwright's own loop runs in the tests' thread; Django would refuse the ORM beside it.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or os.environ.get("DATABASE_URL") or SOCKETS in os.environ:
        return
    if config.option.collectonly or config.option.help:
        return
    folder = Path(tempfile.mkdtemp(prefix="nexa-tests-", dir="/tmp"))
    # Open for the account that runs the server when root's tests may not use namespaces.
    folder.chmod(0o755)
    # Lasts as long as this process, however that ends; then its keeper removes all of it.
    keeper.attach(folder, throw_away=True)
    os.environ[SOCKETS] = str(postgres.socket_folder(folder))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put browser tests last: once Playwright runs its loop in this thread, no run can start one."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Point Django at the tests' own server: settings are read before it can be started."""
    from django.db import connections

    # A connection that the live server's thread keeps would stand in the way of dropping it all.
    connections["default"].settings_dict["CONN_MAX_AGE"] = 0
    if sockets := os.environ.get(SOCKETS):
        connections["default"].settings_dict["HOST"] = sockets


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> Path:
    """Give each test a data folder of its own, so that none writes into the checkout's."""
    settings.DATA_DIR = tmp_path / "var"
    settings.MEDIA_ROOT = tmp_path / "var" / "uploads"
    settings.STOP_FILE = tmp_path / "var" / "run" / "stopping"
    return tmp_path / "var"


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Start the browser found on this machine, quiet and offline; as root without its sandbox."""
    chromium = find_browser.find()
    if chromium is None:
        pytest.fail("No browser found; run `make test`, which gets one, or set CHROMIUM")
    quiet = "--disable-background-networking --disable-component-update --disable-sync"
    args = [*quiet.split(), "--disable-gpu", "--disable-quic", "--no-first-run"]
    root = os.geteuid() == 0
    if root:
        args.append("--no-sandbox")
    return {
        **browser_type_launch_args,
        "executable_path": chromium,
        "args": args,
        "chromium_sandbox": not root,
    }


@pytest.fixture(autouse=True)
def policy_violations(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """What the content security policy stopped on any page of a browser test: it fails of it."""
    if request.node.get_closest_marker("browser") is None:
        yield []
        return
    with violations.watch_policy() as found:
        yield found
    assert found == [], "the content security policy was broken"


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    """Leave nothing in the process-wide cache for the next test."""
    from django.core.cache import cache

    yield
    cache.clear()
