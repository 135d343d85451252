"""A site that is served: a throw-away database, the Procfile's gunicorn, browsers that are logged in."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent


@dataclass(slots=True)
class Browser:
    """Somebody's session; a connection for each request."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    """What the last request took, until its last byte."""

    def get(self, path: str, *, target: str = "") -> str:
        return self._ask("GET", path, "", target)

    def post(self, path: str, fields: Mapping[str, str], *, target: str = "") -> str:
        token = {"csrfmiddlewaretoken": self.cookies["csrftoken"]}
        return self._ask("POST", path, urlencode({**fields, **token}), target)

    def _ask(self, method: str, path: str, body: str, target: str) -> str:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if target:
            headers |= {"HX-Request": "true", "HX-Target": target}
        start = time.perf_counter()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        self.seconds = time.perf_counter() - start
        connection.close()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        expected = (302,) if method == "POST" and not target else (200, 204, 286)
        if answer.status not in expected:
            raise SystemExit(f"{method} {path} answered {answer.status}:\n{text[:500]}")
        return text


def new_folder() -> Path:
    """A folder for a site's data; a SIGTERM ends this process in good order."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="nexa-bench-", dir="/tmp"))
    # Open for the account that runs the server when root may not use namespaces.
    folder.chmod(0o755)
    return folder


def prepare(data: Path) -> None:
    """A new database and the static files, for this process and those that it starts."""
    os.environ.pop("DATABASE_URL", None)
    os.environ |= {
        "NEXA_DATA_DIR": str(data),
        "DJANGO_SETTINGS_MODULE": "nexa_site.settings",
        "ALLOWED_HOSTS": "127.0.0.1",
        "DEBUG": "",
        "LOG_LEVEL": "ERROR",
    }
    from nexa_site import keeper

    # Lasts as long as this process, however that ends; then the keeper removes all of it.
    keeper.attach(data, throw_away=True)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


@contextmanager
def serve(data: Path) -> Iterator[int]:
    """Run the Procfile's `web` on a free port; a guardian ends it should this process be killed."""
    from nexa_site import guardian, procfile
    from nexa_site.children import Guard

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = {"WEB_WORKERS": "2", "WEB_THREADS": "8", **os.environ, "PORT": str(port)}
    entries = procfile.read(ROOT / "Procfile", variables)
    web = next(entry for entry in entries if entry.name == "web")
    guard = Guard()
    with (data / "web.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *web.argv],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    guard.add(server.pid)
    try:
        _wait_for(port, server, data / "web.log")
        yield port
    finally:
        server.terminate()
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            guardian.kill_group(server.pid)
        guard.remove(server.pid)
        guard.close()


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            Browser(port).get("/healthz")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"The web server did not answer:\n{log.read_text()[-2000:]}")


def log_in(port: int) -> dict[str, Browser]:
    """A session each for everybody of `large_site`."""
    from benchmarks.large_site import PASSWORD, PEOPLE

    browsers = {}
    for name in (*PEOPLE, "admin"):
        browsers[name] = browser = Browser(port)
        browser.get("/login/")
        browser.post("/login/", {"username": name, "password": PASSWORD})
    return browsers


def percentile(times: list[float], percent: int) -> float:
    """In milliseconds, of seconds."""
    return round(1000 * sorted(times)[math.ceil(len(times) * percent / 100) - 1], 1)
