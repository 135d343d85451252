from __future__ import annotations

from pathlib import Path

import pytest

from nexa_site import procfile
from nexa_site.env import BASE_DIR


def _read(folder: Path, text: str, **environment: str) -> list[procfile.Entry]:
    path = folder / "Procfile"
    path.write_text(text)
    return procfile.read(path, environment)


def test_lines_become_entries_in_their_order(tmp_path) -> None:
    entries = _read(tmp_path, "# note\n\nb: one 'two words'\na: x ${PORT}0 $PORT\n", PORT="80")
    assert [(entry.name, entry.argv) for entry in entries] == [
        ("b", ("one", "two words")),
        ("a", ("x", "800", "80")),
    ]


def test_env_sets_variables_without_a_process_of_its_own(tmp_path) -> None:
    (entry,) = _read(tmp_path, "gpu: env Q_CLUSTER_NAME=gpu python manage.py qcluster")
    assert entry.argv == ("python", "manage.py", "qcluster")
    assert entry.variables == {"Q_CLUSTER_NAME": "gpu"}
    assert entry.cluster == "gpu"


def test_what_is_no_cluster_has_no_cluster(tmp_path) -> None:
    (entry,) = _read(tmp_path, "web: gunicorn x")
    assert entry.cluster is None


@pytest.mark.parametrize("text", ["web gunicorn", "web: $MISSING", "web: env A=1", "# nothing"])
def test_what_cannot_be_read_is_refused(tmp_path, text) -> None:
    with pytest.raises(procfile.ProcfileError):
        _read(tmp_path, text)


def test_filled_in_values_are_not_split(tmp_path) -> None:
    (entry,) = _read(tmp_path, "web: x $WORDS", WORDS="a b; rm")
    assert entry.argv == ("x", "a b; rm")


def test_the_projects_own_procfile_can_be_read() -> None:
    environment = {"PORT": "1", "WEB_WORKERS": "2", "WEB_THREADS": "3"}
    entries = procfile.read(BASE_DIR / "Procfile", environment)
    clusters = {entry.name: entry.cluster for entry in entries if entry.cluster}
    assert clusters == {"pipeline": "pipeline", "gpu": "gpu"}
    assert {entry.name for entry in entries} - set(clusters) == {"web", "teacher"}
