"""A throw-away site for the engine's benchmarks: database, datasets, recipes, runs, workers.

The database is a real one, as safe as in production: what is measured is durable.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson

from benchmarks.bench_import import WORDS
from benchmarks.cpu import postgres_cpu_seconds
from nexa_site import keeper, postgres

if TYPE_CHECKING:
    from distill.logic.recipe import Recipe as RecipeContent
    from distill.models import Dataset, Run

ROOT = Path(__file__).resolve().parent.parent
MAX_TOKENS = 1024
Measured = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """The folder of a running site; `data_dir` is its NEXA_DATA_DIR."""

    folder: Path

    @property
    def data_dir(self) -> Path:
        return self.folder / "var"

    @property
    def postgres_pid(self) -> int | None:
        return postgres.server_pid(self.data_dir / "postgres")

    def postgres_cpu(self) -> float:
        """CPU seconds of the server with all its backends since it was started."""
        pid = self.postgres_pid
        return postgres_cpu_seconds(pid) if pid else 0.0

    def attach(self, seconds: float = 60) -> int:
        """Have the database up again after a kill; return how many starts were refused before.

        Connections of the server that died are dropped.
        """
        from django.db import connections

        until = time.monotonic() + seconds
        refused = 0
        while True:
            try:
                keeper.attach(self.data_dir)
                break
            except keeper.KeeperError as error:
                if time.monotonic() > until:
                    raise
                print(f"the database did not start: {str(error)[-200:]}", file=sys.stderr)
                refused += 1
                time.sleep(0.5)
        connections.close_all()
        return refused


@contextmanager
def open_site() -> Iterator[Site]:
    """A new site with an embedded PostgreSQL that syncs to disk; gone when the block ends."""
    site = Site(Path(tempfile.mkdtemp(prefix="nexa-engine-", dir="/tmp")))
    # A server of our own, whatever the environment names.
    os.environ.pop("DATABASE_URL", None)
    os.environ["NEXA_DATA_DIR"] = str(site.data_dir)
    os.environ["DJANGO_SETTINGS_MODULE"] = "nexa_site.settings"
    try:
        keeper.attach(site.data_dir)
        argv = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(argv, check=True, cwd=ROOT)
        import django

        django.setup()
        yield site
    finally:
        _close(site)


def _close(site: Site) -> None:
    from django.db import connections

    connections.close_all()
    keeper.detach(site.data_dir)
    until = time.monotonic() + 20
    while site.postgres_pid and time.monotonic() < until:
        time.sleep(0.2)
    shutil.rmtree(site.folder, ignore_errors=True)


def make_dataset(site: Site, name: str, num_samples: int) -> Dataset:
    """Import abstracts of 1,200 to 2,400 characters; another name gives other texts."""
    from distill.services.ingest import create_dataset, import_file

    path = site.folder / f"{name}.jsonl"
    with path.open("wb") as file:
        for paper in _papers(name, num_samples):
            file.write(orjson.dumps(paper) + b"\n")
    dataset = create_dataset(name=name)
    import_file(dataset=dataset, path=path, name=path.name)
    path.unlink()
    return dataset


def _papers(name: str, num_samples: int) -> Iterator[dict[str, str]]:
    rng = random.Random(name)
    sentences = [" ".join(rng.choices(WORDS, k=18)).capitalize() + "." for _ in range(3000)]
    for number in range(num_samples):
        text = f"Study {number} of {name}."
        length = rng.randint(1200, 2400)
        while len(text) < length - 60:
            text += " " + rng.choice(sentences)
        title = f"On {rng.choice(WORDS)} and {rng.choice(WORDS)}, part {number}"
        yield {
            "paper_id": f"{name}-{number}",
            "title": title,
            "domain": "biology",
            "abstract": text,
        }


def recipe_content(
    teacher: str, *, slots: int, of_teacher: Mapping[str, object] | None = None, **changes: object
) -> RecipeContent:
    """A recipe that only generates and applies the rules: no judges, one attempt.

    `of_teacher` changes its teacher's part of the document, `changes` the rest.
    """
    from distill.logic.recipe import Recipe as RecipeContent

    document = {
        "name": "bench",
        "teacher": {
            "name": teacher,
            "slots": slots,
            "max_tokens": MAX_TOKENS,
            **(of_teacher or {}),
        },
        "judges": [],
        "regeneration": {"max_attempts": 1},
        **changes,
    }
    return RecipeContent.model_validate(document)


def make_run(dataset: Dataset, content: RecipeContent, **options: Any) -> Run:
    """A queued run of the whole pipeline over the dataset."""
    from distill.models import Run
    from distill.services.recipes import save_recipe
    from distill.services.runs import create_run

    recipe = save_recipe(content=content)
    options.setdefault("sample_limit", dataset.samples.count())
    return create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.PIPELINE, **options)


def write_bodies(site: Site, dataset: Dataset, content: RecipeContent, path: Path) -> None:
    """The requests of a run of this recipe, one body a line, for the clients that store nothing."""
    from distill.queries.sent_messages import first_messages

    model = content.teacher.name.partition("#")[2]
    with path.open("wb") as file:
        for sample in dataset.samples.order_by("id").iterator(1000):
            messages = [
                {"role": part.role, "content": part.content}
                for part in first_messages(content, sample)
            ]
            body = {"model": model, "messages": messages, **content.teacher.parameters}
            file.write(orjson.dumps(body) + b"\n")


class Worker:
    """A worker process (`benchmarks.engine_worker`), told by lines of JSON what to work on."""

    def __init__(self, site: Site, **variables: str) -> None:
        self._log = (site.folder / "workers.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.engine_worker"],
            cwd=ROOT,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def answers(self) -> IO[bytes]:
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        return self._process.stdout

    def tell(self, **order: object) -> None:
        """Give it something to do; it answers with one line."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()

    def hear(self) -> Measured:
        """Wait for its answer. Raises RuntimeError where it ended without one."""
        line = self.answers.readline()
        if not line:
            raise RuntimeError(f"a worker ended with {self._process.wait()}; see {self._log.name}")
        told: Measured = json.loads(line)
        return told

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            if pipe is not None:
                pipe.close()


@contextmanager
def a_worker(site: Site, **variables: str) -> Iterator[Worker]:
    """A worker for as long as the block runs."""
    worker = Worker(site, **variables)
    try:
        yield worker
    finally:
        worker.kill()
