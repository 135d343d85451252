"""The example of the document, word for word, against a live site with a worker and a teacher."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connections

from distill import tasks
from distill.models import Run
from distill.teachers.offline.process import offline_teacher
from nexa_site.env import BASE_DIR
from nexa_site.services.create_token import create_token
from tests.builders import make_user

Task = tuple[Callable[..., None], tuple[Any, ...]]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Takes tasks in a thread of its own, one after the other, as a cluster would."""
    waiting: queue.Queue[Task | None] = queue.Queue()
    monkeypatch.setattr(
        tasks, "async_task", lambda function, *arguments, **_: waiting.put((function, arguments))
    )

    def work() -> None:
        while task := waiting.get():
            function, arguments = task
            function(*arguments)
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    waiting.put(None)
    thread.join()


def example() -> str:
    document = (BASE_DIR / "docs" / "api.md").read_text("utf-8")
    block: str
    [block] = re.findall(r"^```python\n(.*?)^```", document, re.DOTALL | re.MULTILINE)
    return block


@pytest.mark.django_db(transaction=True)
def test_it_goes_from_a_file_to_a_dataset_on_disk(
    live_server: Any, worker: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, token = create_token(user=make_user("operator"), name="example", days=1)
    passages = (BASE_DIR / "distill" / "demo" / "passages.jsonl").read_bytes().splitlines()
    (tmp_path / "papers.jsonl").write_bytes(b"\n".join(passages[:12]))
    with offline_teacher(port=0) as teacher:
        monkeypatch.setenv("OFFLINE_BASE_URL", teacher)
        done = subprocess.run(
            [sys.executable, "-W", "ignore::ResourceWarning", "-c", example()],
            cwd=tmp_path,
            env=os.environ | {"SITE": live_server.url, "TOKEN": token},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    rows = [orjson.loads(line) for line in (tmp_path / "train.jsonl").read_bytes().splitlines()]
    assert rows
    assert rows[0]["messages"][-1]["role"] == "assistant"
    run = Run.objects.get()
    assert (run.state, run.sample_draws.count()) == (Run.State.DONE, 12)


def test_it_is_short() -> None:
    lines = [line for line in example().splitlines() if line]
    # Ten beside the import and what tells of errors.
    assert len(lines) <= 12
