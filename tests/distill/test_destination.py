"""A path that cannot be written is refused before anything is asked; --help says where it goes."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command, load_command_class

from distill.logic.errors import InputError
from distill.management.destination import check_writable
from distill.models import Run, SourceFile

STAGES = ["collect_teacher", "filter_pairs", "judge_pairs", "sample_gate", "to_sft"]


def make_unwritable(folder: Path) -> dict[str, Path]:
    (folder / "folder.parquet").mkdir()
    (folder / "file").write_text("x")
    return {
        "it is a folder": folder / "folder.parquet",
        "a part of its path is a file": folder / "file" / "deep" / "out.parquet",
        "its name is too long": folder / ("x" * 300 + ".parquet"),
    }


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    for words, path in make_unwritable(tmp_path).items():
        with pytest.raises(InputError, match=words):
            check_writable(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="permission is missing"):
        check_writable(tmp_path / "out.parquet")


def test_what_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "old.parquet").write_text("old")
    for name in ("old.parquet", "new.parquet", "deep/er/new.parquet"):
        check_writable(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["old.parquet"]


@pytest.mark.django_db
@pytest.mark.parametrize("command", [*STAGES, "regenerate_bad", "prepare_inputs"])
def test_a_command_looks_at_its_destination_first(tmp_path: Path, command: str) -> None:
    src = tmp_path / "in.jsonl"
    src.write_text('{"text": "Soils dry."}')
    flag = "--rejected" if command == "regenerate_bad" else "--src"
    for words, path in make_unwritable(tmp_path).items():
        with pytest.raises(CommandError, match=words):
            call_command(command, flag, str(src), "--dst", str(path), stderr=io.StringIO())
    assert not Run.objects.exists()
    assert not SourceFile.objects.exists()


@pytest.mark.django_db
def test_rejections_are_looked_at_too(tmp_path: Path) -> None:
    src = tmp_path / "in.jsonl"
    src.write_text('{"text": "Soils dry."}')
    good = ["--src", str(src), "--dst", str(tmp_path / "passed.parquet")]
    with pytest.raises(CommandError, match="it is a folder"):
        call_command("sample_gate", *good, "--rejections", str(tmp_path))
    assert not Run.objects.exists()


@pytest.mark.parametrize("command", [*STAGES, "regenerate_bad", "prepare_inputs"])
def test_help_names_the_commands_options_first_and_whole_paths(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = load_command_class("distill", command).create_parser("manage.py", command).format_help()
    options = shown[shown.index("\noptions:") :]
    assert options.index("--dst") < options.index("--version")
    assert options.index("--dst") < options.index("--verbosity")
    dst = options[options.index("--dst") :].partition("\n  --")[0]
    assert "(default:" in dst
    assert "processed/distillation/" in dst
    assert any(word.rstrip(";)").endswith((".parquet", ".jsonl")) for word in dst.split())
