"""A provider may answer anything; it is stored, judged by its form, and stops nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import orjson
import pytest

from distill.models import Completion, Run, SampleDraw
from distill.services.runs import create_run
from distill.services.step import run_step
from tests.builders import make_dataset, make_recipe, make_sample


class Hostile(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        choice = {
            "message": {"role": "assistant", "content": 'a\0b <script>alert("x")</script>'},
            "finish_reason": "weird\0" * 40,
        }
        usage = {"prompt_tokens": 1, "completion_tokens": 2}
        body = orjson.dumps({"model": "m\0" * 400, "choices": [choice], "usage": usage})
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def hostile_url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Hostile)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.django_db(transaction=True)
def test_nuls_and_endless_names_are_stored_and_rejected(hostile_url: str) -> None:
    dataset = make_dataset()
    make_sample(dataset)
    run = create_run(dataset=dataset, recipe=make_recipe(), kind=Run.Kind.PIPELINE)
    assert run_step(run.id, offline_url=hostile_url) == Run.State.DONE
    row = SampleDraw.objects.select_related("verdict").get(run=run)
    assert row.verdict is not None
    assert "unparseable" in row.verdict.reasons
    assert all("\0" not in completion.text for completion in Completion.objects.all())
