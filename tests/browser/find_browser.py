"""Print the path of a Chromium for the browser tests; with `--install`, get one where none is.

Looked for, in this order: $CHROMIUM; a browser on PATH; Playwright's own; and with `--install`
Playwright's download, then the system's package. Ends with one line and code 1 when none is had.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CACHES = (
    Path.home() / ".cache" / "ms-playwright",
    Path.home() / "Library" / "Caches" / "ms-playwright",
)
PROGRAMS = ("headless_shell", "chrome-headless-shell", "chrome", "Chromium")
PACKAGE = "chromium-headless-shell"


def find() -> str | None:
    """Return the path of a browser that lies on this machine, if one does."""
    if chosen := os.environ.get("CHROMIUM"):
        return shutil.which(chosen)
    on_path = next(filter(None, map(shutil.which, NAMES)), None)
    return on_path or _find_playwrights()


def install() -> str | None:
    """Get a browser from Playwright, else from the system's packages; return its path."""
    playwright = [sys.executable, "-m", "playwright", "install", PACKAGE]
    if _run(playwright) and (found := _find_playwrights()):
        return found
    if shutil.which("apt-get"):
        prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
        _run([*prefix, "apt-get", "update", "-q"])
        _run([*prefix, "apt-get", "install", "-q", "-y", "--no-install-recommends", PACKAGE])
    return find()


def _find_playwrights() -> str | None:
    chosen = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    for cache in (Path(chosen),) if chosen else CACHES:
        for folder in sorted(cache.glob("chromium*"), reverse=True):
            for path in folder.glob("*/**/*"):
                if path.name in PROGRAMS and os.access(path, os.X_OK) and path.is_file():
                    return str(path)
    return None


def _run(argv: list[str]) -> bool:
    """Run a program, its output to standard error; say whether it went well."""
    try:
        return subprocess.run(argv, stdout=sys.stderr, timeout=300, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def main() -> None:
    """Print the browser's path."""
    found = find() or (install() if "--install" in sys.argv else None)
    if found is None:
        sys.exit(
            "No browser for the browser tests. Mend it with: "
            f"sudo apt-get install -y --no-install-recommends {PACKAGE} "
            "(macOS: .venv/bin/playwright install chromium-headless-shell), "
            "or name one: CHROMIUM=/path/to/chromium make test"
        )
    print(found)  # noqa: T201 - the caller reads it


if __name__ == "__main__":
    main()
