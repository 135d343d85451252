"""`manage.py` brings the embedded database along, and takes it away again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nexa_site import postgres
from nexa_site.env import BASE_DIR


def _manage(data_dir: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    # As a person would run it: settings behave otherwise inside pytest.
    hidden = {"PYTEST_VERSION", "DATABASE_URL"}
    inherited = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=BASE_DIR,
        env={**inherited, "NEXA_DATA_DIR": str(data_dir), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_command_has_its_database_and_leaves_no_server(tmp_path) -> None:
    done = _manage(tmp_path, "showmigrations", "distill")
    assert done.returncode == 0, done.stderr
    assert "[ ] 0001_initial" in done.stdout
    asked_too_early = _manage(tmp_path, "status", "--json")
    assert asked_too_early.returncode == 1
    assert "`make up`, or `manage.py migrate`" in asked_too_early.stderr
    assert "Traceback" not in asked_too_early.stderr
    deadline = time.monotonic() + 10
    while postgres.server_pid(tmp_path / "postgres"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_command_without_need_of_a_database_makes_none(tmp_path) -> None:
    assert _manage(tmp_path, "version").returncode == 0
    assert not (tmp_path / "postgres").exists()


def test_a_bad_variable_ends_with_its_name(tmp_path) -> None:
    done = _manage(tmp_path, "check", PORT="eight")
    assert done.returncode == 1
    assert "PORT: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_does_not_answer_is_one_line(tmp_path) -> None:
    nowhere = "postgresql://nobody:secret@127.0.0.1:1/none"
    done = _manage(tmp_path, "status", DATABASE_URL=nowhere)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "The database could not do it: connection failed" in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" in _manage(tmp_path, "status", "--traceback", DATABASE_URL=nowhere).stderr


def test_the_secret_key_is_made_once_for_its_owner_alone(tmp_path) -> None:
    _manage(tmp_path, "version")
    path = tmp_path / "secret_key"
    key = path.read_text()
    _manage(tmp_path, "version")
    assert path.read_text() == key
    assert len(key) > 50
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_folder_that_cannot_be_written_is_named(tmp_path) -> None:
    tmp_path.chmod(0o500)
    done = _manage(tmp_path / "var", "showmigrations")
    assert "NEXA_DATA_DIR" in done.stderr
