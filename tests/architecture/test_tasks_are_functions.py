"""Tasks are named by the function itself: a rename then fails at once, not in a worker at night."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from nexa_site.env import BASE_DIR

APPS = ("nexa_site", "distill", "review", "training")
ENQUEUERS = {"async_task", "enqueue", "schedule", "async_iter", "async_chain"}
DOTTED_TASK = re.compile(rf"(?:{'|'.join(APPS)})(?:\.\w+)*\.tasks\.\w+")


@cache
def _modules() -> list[tuple[Path, list[ast.AST]]]:
    """Every node of every module that speaks of tasks at all."""
    paths = [path for app in APPS for path in sorted((BASE_DIR / app).rglob("*.py"))]
    texts = [(path.relative_to(BASE_DIR), path.read_text("utf-8")) for path in paths]
    return [
        (path, list(ast.walk(ast.parse(text))))
        for path, text in texts
        if re.search(rf"\.tasks\.|\b(?:{'|'.join(ENQUEUERS)})\b", text)
    ]


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def test_what_is_enqueued_is_a_function() -> None:
    named_by_text = [
        f"{path}:{node.lineno}"
        for path, nodes in _modules()
        for node in nodes
        if isinstance(node, ast.Call)
        and _name_of(node.func) in ENQUEUERS
        and not (node.args and isinstance(node.args[0], ast.Name | ast.Attribute))
    ]
    assert named_by_text == []


def test_no_text_spells_a_task() -> None:
    spelt = [
        f"{path}:{node.lineno} {node.value}"
        for path, nodes in _modules()
        for node in nodes
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and DOTTED_TASK.fullmatch(node.value)
    ]
    assert spelt == []


def test_services_and_queries_never_enqueue() -> None:
    lower_rooms = ("services", "queries", "models", "logic", "teachers", "engine")
    enqueuing = [
        f"{path}:{node.lineno}"
        for path, nodes in _modules()
        if path.parts[1] in lower_rooms
        for node in nodes
        if isinstance(node, ast.Call) and _name_of(node.func) == "async_task"
    ]
    assert enqueuing == []
