"""Everything in a document that a test can check is checked here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest
from django.core.management import find_commands, load_command_class

from distill.models import CompletionState, Run, SampleDraw, SourceFile
from distill.teachers.registry import PROVIDERS
from nexa_site.env import BASE_DIR, Env
from review.logic.keys import KEYS
from review.models import Slot

APPS = ("nexa_site", "distill", "review", "training")
# The tests' own channel, not for people.
NOT_FOR_PEOPLE = {"PYTEST_VERSION"}
# Every system's own variables.
OF_THE_SYSTEM = {"PATH", "DJANGO_SETTINGS_MODULE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
# Set by torchrun for the processes that it starts.
OF_TORCHRUN = {"RANK", "WORLD_SIZE"}
LARGEST_IMAGE = 200_000


@cache
def _read(name: str) -> str:
    return (BASE_DIR / name).read_text("utf-8")


def _documents() -> list[Path]:
    pages = [BASE_DIR / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return [*pages, *sorted((BASE_DIR / "docs").rglob("*.md"))]


def _section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


# --- the map ---


def _map() -> dict[str, str]:
    block = _section(_read("README.md"), "Map").split("```")[1]
    lines = [line.split(maxsplit=1) for line in block.splitlines() if line.strip()]
    return {line[0]: line[1] for line in lines}


def _is_ignored(name: str) -> bool:
    patterns = [line.strip("/") for line in _read(".gitignore").splitlines() if line]
    return name == ".git" or any(fnmatch(name, pattern) for pattern in patterns)


def _folders_with_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not _is_ignored(path.name):
            if any(child.is_file() for child in path.iterdir()):
                yield path
            yield from _folders_with_files(path)


def test_the_map_names_every_entry_and_every_room() -> None:
    entries = [path for path in BASE_DIR.iterdir() if not _is_ignored(path.name)]
    rooms = [room for app in APPS for room in _folders_with_files(BASE_DIR / app)]
    tree = {
        f"{path.relative_to(BASE_DIR)}{'/' if path.is_dir() else ''}" for path in entries + rooms
    }
    assert set(_map()) == tree


# --- commands ---


def _commands() -> list[tuple[str, str]]:
    return [
        (app, name)
        for app in APPS
        for name in find_commands(str(BASE_DIR / app / "management"))
        if (BASE_DIR / app / "management").exists()
    ]


@pytest.mark.parametrize(("app", "name"), _commands(), ids=lambda value: value)
def test_a_command_explains_itself_and_stands_in_the_readme(app, name) -> None:
    command = load_command_class(app, name)
    parser = command.create_parser("manage.py", name)
    assert len(command.help) > 80
    assert [action.dest for action in parser._actions if not action.help] == []
    assert f"`{name} " in _read("README.md") or f"`{name}`" in _read("README.md")


def test_the_readme_names_no_command_that_is_not_there() -> None:
    stages = _section(_read("README.md"), "The stages as commands")
    named = re.findall(r"^\|[^|]*\| `(\w+) |\| `(\w+) --src", stages, re.MULTILINE)
    assert {first or second for first, second in named} <= {name for _, name in _commands()}


@pytest.mark.parametrize(("app", "name"), _commands(), ids=lambda value: value)
def test_the_readme_gives_a_command_no_option_that_it_does_not_have(app, name) -> None:
    parser = load_command_class(app, name).create_parser("manage.py", name)
    known = {option for action in parser._actions for option in action.option_strings}
    lines = re.findall(rf"`{name} ([^`]*)`", _read("README.md"))
    used = {option for line in lines for option in re.findall(r"--[\w-]+", line)}
    assert used <= known


# --- make ---


def test_every_target_of_make_says_what_it_does_and_stands_in_a_document() -> None:
    makefile = _read("Makefile")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split()
    helped = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    documents = _read("README.md") + _read("CONTRIBUTING.md")
    assert set(targets) - set(helped) == {"venv"}, "only a step of the others needs no words"
    assert [name for name in helped if not re.search(rf"\bmake {name}\b", documents)] == []
    assert set(re.findall(r"`make ([a-z-]+)", documents)) <= set(targets)


# --- environment ---


def _documented_variables() -> set[str]:
    rows = re.findall(r"^\| (`[^|]*) \|", _section(_read("README.md"), "Environment"), re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([A-Z][A-Z0-9_]*(?:<HOST>)?)`", row)}


def _variables_of_the_site() -> set[str]:
    aliases = {str(field.validation_alias) for field in Env.model_fields.values()}
    return aliases - NOT_FOR_PEOPLE


def _variables_of_teachers() -> set[str]:
    providers = PROVIDERS.values()
    keys = {provider.key_variable for provider in providers}
    return keys | {provider.base_url_variable for provider in providers}


def _literals_read_in_code() -> set[str]:
    """Names that code reads from the environment by a literal."""
    reading = re.compile(r"\benviron(?:\.get\(|\[)\s*[\"'](\w+)[\"'](?!\]\s*=[^=])")
    return {
        name
        for folder in (*APPS, "benchmarks")
        for path in (BASE_DIR / folder).rglob("*.py")
        for name in reading.findall(path.read_text("utf-8"))
    }


def test_every_variable_is_documented() -> None:
    wanted = _variables_of_the_site() | _variables_of_teachers() | _literals_read_in_code()
    assert wanted - OF_THE_SYSTEM - OF_TORCHRUN - _documented_variables() == set()


def test_no_variable_is_documented_that_nothing_reads() -> None:
    known = _variables_of_the_site() | _variables_of_teachers() | OF_THE_SYSTEM
    known.add("TEACHER_API_KEY_<HOST>")
    read_by_tools = " ".join(
        map(_read, ("Makefile", "tests/browser/find_browser.py", "benchmarks/bench_import.py"))
    )
    rest = _documented_variables() - known
    assert [name for name in sorted(rest) if not re.search(rf"\b{name}\b", read_by_tools)] == []


@pytest.mark.parametrize("field", Env.model_fields)
def test_the_readme_gives_the_default_of(field) -> None:
    info = Env.model_fields[field]
    name = str(info.validation_alias)
    if name in NOT_FOR_PEOPLE or info.default is None:
        return
    rows = _section(_read("README.md"), "Environment").splitlines()
    row = next(row for row in rows if f"`{name}`" in row.partition(" | ")[0])
    names, default = (re.findall(r"`([^`]*)`", cell) for cell in row.split("|")[1:3])
    shown = info.default
    if isinstance(shown, bool):
        shown = str(shown).lower()
    if isinstance(shown, tuple):
        shown = ",".join(shown)
    if isinstance(shown, Path):
        shown = shown.relative_to(BASE_DIR)
    assert default[names.index(name)] == str(shown) if shown != "" else not default


# --- links, paths, pictures ---


@pytest.mark.parametrize("document", _documents(), ids=lambda path: path.name)
def test_every_link_and_every_path_leads_somewhere(document) -> None:
    text = document.read_text("utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    broken = [link for link in links if not (document.parent / link).exists()]
    # `distill/services/step.py`, `static/js/`: named as from the top of the repository.
    tops = "|".join([*APPS, "templates", "static", "tests", "docs", "benchmarks"])
    paths = re.findall(rf"`((?:{tops})/[\w/.-]+)`", text)
    # The diary tells what was, the others what is.
    if document.name != "log.md":
        broken += [path for path in paths if not (BASE_DIR / path).exists()]
    assert broken == []


def test_pictures_are_small_and_all_of_them_are_shown() -> None:
    pictures = list((BASE_DIR / "docs" / "images").glob("*"))
    assert pictures
    shown = "".join(path.read_text("utf-8") for path in _documents())
    assert [path.name for path in pictures if path.stat().st_size > LARGEST_IMAGE] == []
    assert [path.name for path in pictures if path.name not in shown] == []


# --- states ---


@pytest.mark.parametrize(
    "model", [SourceFile, Run, SampleDraw, CompletionState, Slot], ids=lambda model: model.__name__
)
def test_the_table_of_states_knows_every_state_and_no_other(model) -> None:
    rows = _section(_read("docs/architecture.md"), "The life of a sample").splitlines()
    cells = next(row for row in rows if row.startswith(f"| `{model.__name__}`")).split("|")
    moves = re.sub(r"\([^)]*\)|`[^`]*`[^;|]*", "", cells[2])
    named = {word for move in moves.split(";") for word in re.findall(r"[a-z]+", move)}
    phrases = {"ended", "running", "between", "steps"} if model is Run else set()
    assert named - phrases == set(model.State.values) - phrases


# --- decisions and changes ---


def _decisions() -> list[Path]:
    return sorted((BASE_DIR / "docs" / "decisions").glob("*.md"))


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in _decisions()]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("document", _decisions(), ids=lambda path: path.stem)
def test_a_decision_has_context_choice_and_consequence(document) -> None:
    headings = re.findall(r"^## (.*)$", document.read_text("utf-8"), re.MULTILINE)
    assert headings == ["Context", "Choice", "Consequence"]


def test_the_changelog_begins_with_what_is_not_released() -> None:
    sections = re.findall(r"^## (.*)$", _read("CHANGELOG.md"), re.MULTILINE)
    assert sections[0] == "[Unreleased]"


def test_no_document_names_a_machine() -> None:
    named = [
        f"{document.name}: {match.group()}"
        for document in _documents()
        for match in re.finditer(r"/(?:home|root|Users|work)/\w+", document.read_text("utf-8"))
    ]
    assert named == []


def test_the_keys_of_the_review_stand_in_its_document() -> None:
    text = _read("docs/review.md")
    for key in KEYS:
        assert f"| `{key.key}` | {key.label} | {key.help} |" in text
