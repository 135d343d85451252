"""Text from models, files and people is hostile, and the content security policy is strict."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nexa_site.env import BASE_DIR

# A template that has to break one of these rules, and why. None has to.
ALLOWED: dict[str, str] = {}

FORBIDDEN = {
    "unescaped text": r"\|\s*safe(?:seq)?\b|\{%\s*autoescape\s+off|\bmark_safe\b",
    "a style attribute": r"(?<![\w-])style\s*=",
    "a style element": r"<style\b",
    "a script element without src": r"<script\b(?![^>]*\bsrc=)",
    "an event attribute": r"(?<![\w-])on[a-z]+\s*=\s*[\"']",
    "a script of htmx": r"\bhx-on\b|\bhx-(?:vals|headers|vars)\s*=\s*[\"']\s*(?:js|javascript):",
    "a script address": r"(?i)javascript:",
    # Under a strict policy htmx cannot evaluate the filter, and fires on every key.
    "a bracket filter of htmx": r"\bhx-trigger\s*=\s*\"[^\"]*\[|\bhx-trigger\s*=\s*'[^']*\[",
    "something loaded from elsewhere": r"(?:\bsrc|<link\b[^>]*\bhref)\s*=\s*[\"'](?:https?:)?//",
}
CAUGHT = {
    "unescaped text": ["{{ text|safe }}", "{{ text | safeseq }}", "{% autoescape off %}"],
    "a style attribute": ['<p style="color:red">', "<p\nstyle = 'x'>"],
    "a style element": ["<style>p {}</style>"],
    "a script element without src": ["<script>go()</script>", '<script type="module">'],
    "an event attribute": ['<a onclick="go()">', "<body onload = 'go()'>"],
    "a script of htmx": ['<p hx-on:click="go()">', "<p hx-vals='js:{a: b()}'>"],
    "a script address": ['<a href="JavaScript:go()">'],
    "a bracket filter of htmx": ["""<p hx-trigger="keyup[key=='a']">""", "<p hx-trigger='x[y]'>"],
    "something loaded from elsewhere": [
        '<script src="https://cdn.example.org/x.js">',
        '<link rel="stylesheet" href="//example.org/x.css">',
    ],
}
LEFT_ALONE = (
    "<script src=\"{% static 'js/site.js' %}\" defer></script>",
    '<p class="style" data-style="x" hx-trigger="every 2s">content="width=1" action="x"</p>',
    "{{ views.require_safe }} {% if is_safe %}{% endif %}",
    '<a href="https://example.org/">elsewhere</a>',
)
TEMPLATES = sorted(BASE_DIR.glob("templates/**/*.html"))
COMMENT = re.compile(r"\{#.*?#\}|\{%\s*comment\s*%\}.*?\{%\s*endcomment\s*%\}", re.DOTALL)


def _name(path: Path) -> str:
    return str(path.relative_to(BASE_DIR))


def test_there_are_templates_to_look_at() -> None:
    assert len(TEMPLATES) > 20


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_search_finds_what_it_is_for(what) -> None:
    assert [text for text in CAUGHT[what] if not re.search(FORBIDDEN[what], text)] == []
    assert [text for text in LEFT_ALONE if re.search(FORBIDDEN[what], text)] == []


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_template_holds_it(what) -> None:
    found = [
        f"{_name(path)}: {match.group()}"
        for path in TEMPLATES
        if _name(path) not in ALLOWED
        for match in re.finditer(FORBIDDEN[what], COMMENT.sub("", path.read_text("utf-8")))
    ]
    assert found == []


def test_no_code_calls_a_text_safe() -> None:
    found = [
        f"{_name(path)}: {match.group()}"
        for app in ("nexa_site", "distill", "review", "training")
        for path in sorted((BASE_DIR / app).rglob("*.py"))
        for match in re.finditer(
            r"\bmark_safe\b|\bSafe(?:String|Text)\(|\bformat_html\(\s*f[\"']",
            path.read_text("utf-8"),
        )
    ]
    assert found == []


def test_no_script_of_ours_writes_markup_or_evaluates_text() -> None:
    found = [
        f"{_name(path)}: {match.group()}"
        for path in sorted((BASE_DIR / "static" / "js").glob("*.js"))
        for match in re.finditer(
            r"\.(?:inner|outer)HTML\s*=[^=]|insertAdjacentHTML|document\.write|\beval\(|new Function",
            path.read_text("utf-8"),
        )
    ]
    assert found == []
