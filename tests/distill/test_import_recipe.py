"""`import_recipe`: config files of the guide become a saved recipe, with a word on what was left."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from distill.logic.recipe import load_recipe
from distill.models import Recipe

pytestmark = pytest.mark.django_db


@pytest.fixture
def files(tmp_path):
    (tmp_path / "distill_config.yaml").write_text("collection:\n  batch_size: 8\n")
    (tmp_path / "filters.yaml").write_text("min_char_length: 300\nmin_judge_score: 75\n")
    (tmp_path / "teacher.yaml").write_text(
        "generation:\n  teacher_model: gpt-4o-mini\njudging:\n  judge_f_model: gpt-4o\n"
    )
    return tmp_path


def run(*args):
    out, err = io.StringIO(), io.StringIO()
    call_command("import_recipe", *map(str, args), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_three_files_become_one_recipe_and_twice_the_same(files):
    args = (
        *("--distill-config", files / "distill_config.yaml", "--filters", files / "filters.yaml"),
        *("--teacher", files / "teacher.yaml", "--name", "guide"),
    )
    out, err = run(*args)
    assert out == "Saved as guide v1: use it with --recipe guide.\n"
    assert "distill_config.yaml line 2, collection.batch_size: ignored" in err
    content = Recipe.objects.get().content
    assert (content.teacher.name, content.gate.min_mean) == ("openai:gpt-4o-mini", 0.75)
    assert content.rules.min_chars == 300
    run(*args)
    assert Recipe.objects.count() == 1


def test_a_dry_run_prints_a_recipe_and_saves_none(files):
    out, _ = run("--filters", files / "filters.yaml", "--name", "guide", "--dry-run")
    assert load_recipe(out).rules.min_chars == 300
    assert not Recipe.objects.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"min_char_length: [", "filters.yaml: The document is not valid YAML"),
        (b"min_char_length: -1", "filters.yaml line 1, min_char_length: -1 is out of range"),
        (b"\xff", "not UTF-8"),
        (b"#" * 4_000_001, "too large"),
        (b"", "at least one of the three files"),
    ],
    ids=["yaml", "value", "encoding", "large", "empty"],
)
def test_what_cannot_be_used_is_one_clear_line(tmp_path, content, words):
    path = tmp_path / "filters.yaml"
    path.write_bytes(content)
    with pytest.raises(CommandError, match=words):
        run("--filters", path, "--name", "guide")
    with pytest.raises(CommandError, match="it does not exist"):
        run("--filters", tmp_path / "none.yaml", "--name", "guide")


def test_a_name_that_is_no_address_is_refused(files):
    with pytest.raises(CommandError, match="becomes part of an address"):
        run("--filters", files / "filters.yaml", "--name", "a/b")
