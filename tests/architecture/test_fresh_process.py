"""What an import wakes, seen by a process that has imported nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nexa_site.env import BASE_DIR

FRAMEWORKS = ("django", "django_q")
NETWORK = ("aiohttp", "openai", "httpx", "httpx2", "requests")
TENSORS = ("torch", "transformers", "accelerate", "trl", "peft", "datasets")

EVERYTHING_BELOW = """
import importlib, pkgutil, sys
for name in {packages!r}:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        importlib.import_module(module.name)
"""
SITE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "nexa_site.settings"
import nexa_site.wsgi, nexa_site.urls
from django.urls import get_resolver
get_resolver().url_patterns
"""
RUNTIME = """
import sys
import nexa_site.supervisor, nexa_site.keeper, nexa_site.guardian, nexa_site.watchdog
"""


def _logic_of_every_app() -> list[str]:
    folders = BASE_DIR.glob("*/logic/__init__.py")
    return sorted(f"{folder.parts[-3]}.logic" for folder in folders)


def _loaded_by(code: str, data_dir: object) -> set[str]:
    """The top-level modules that a fresh process has loaded after running `code`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_VERSION"}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(*{{n.partition('.')[0] for n in sys.modules}})"],
        cwd=BASE_DIR,
        env=environment | {"NEXA_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        (
            EVERYTHING_BELOW.format(packages=_logic_of_every_app()),
            (*FRAMEWORKS, *NETWORK, *TENSORS),
        ),
        (
            EVERYTHING_BELOW.format(packages=["distill.engine"]),
            (*FRAMEWORKS, *NETWORK, *TENSORS),
        ),
        (SITE, (*TENSORS, "pandas", "openai")),
        (RUNTIME, (*FRAMEWORKS, *NETWORK, *TENSORS, "distill", "review", "training")),
    ],
    ids=["logic", "engine", "site", "runtime"],
)
def test_an_import_wakes_nothing_that_its_room_may_not_know(code, unwanted, tmp_path) -> None:
    assert _loaded_by(code, tmp_path).isdisjoint(unwanted)


SURVIVES_A_FORK = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "nexa_site.settings"
django.setup()
import distill.tasks
from distill.logic.rules import RulesConfig, apply_rules
from distill.logic.types import RuleText
child = os.fork()
if not child:
    apply_rules([RuleText("Measure it.", "It was measured.")], RulesConfig())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_worker_that_was_forked_can_apply_the_rules(tmp_path) -> None:
    # The threads of polars are gone in a child: a parent that has used it leaves it waiting.
    subprocess.run(
        [sys.executable, "-c", SURVIVES_A_FORK],
        cwd=BASE_DIR,
        env=os.environ | {"NEXA_DATA_DIR": str(tmp_path)},
        check=True,
        timeout=60,
    )
