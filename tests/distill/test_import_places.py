"""What an import says of rows that it refuses and of files that it leaves out."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from distill.models import Dataset, RefusedRow
from distill.services.ingest.readers import counted_in, skipped_files

PASSAGE = "Nitrification slows when soils dry, and recovers within days of rain. " * 3


def call(name: str, *arguments: object) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command(name, *map(str, arguments), stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text(PASSAGE)
    for name in ("b.pdf", "deep/c.PDF", "README", ".hidden", "d.docx"):
        (folder / name).write_text("x")
    (folder / "e.txt").symlink_to(folder / "a.txt")
    return folder


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("a.csv", "line"),
        ("a.TSV", "line"),
        ("a.jsonl", "line"),
        ("a.json", "row"),
        ("a.parquet", "row"),
        ("notes", "row"),
    ],
)
def test_only_files_that_are_read_by_lines_have_lines(name: str, word: str) -> None:
    assert counted_in(name) == word


@pytest.mark.django_db
def test_a_row_of_a_csv_is_named_by_its_line_and_keeps_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(
        f'text,domain\n"{PASSAGE}\nTwo.\nThree.",soil\none,two,caf\xff\n'.encode("latin-1")
    )
    _, err = call("import_dataset", path, "--dataset", "soil")
    assert "  line 5: The row has 3 cells, the header has 2." in err
    assert RefusedRow.objects.get().excerpt == "one, two, caf\ufffd"


@pytest.mark.django_db
def test_an_import_of_a_folder_says_what_it_leaves_out(folder: Path) -> None:
    said = "notes: only .txt, .md, .markdown are read; skipped are 2 .pdf, "
    for more in (["--preview"], []):
        _, err = call("import_dataset", folder, "--dataset", "notes", *more)
        assert said in err
    _, err = call("prepare_inputs", "--src", folder, "--dst", folder.parent / "in.parquet")
    assert said in err
    assert Dataset.objects.get().samples.count() == 1
    kinds = {"2 .pdf", "1 without an ending", "1 .docx", "1 link"}
    assert set(skipped_files(folder).split(", ")) == kinds


@pytest.mark.django_db
def test_a_folder_without_texts_says_what_it_holds(folder: Path) -> None:
    (folder / "a.txt").unlink()
    with pytest.raises(CommandError, match=r"holds no .txt, .md, .markdown files. It holds 2 .pdf"):
        call("import_dataset", folder, "--dataset", "notes")


def test_nothing_is_said_where_nothing_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(PASSAGE)
    assert skipped_files(tmp_path) == ""
    assert skipped_files(tmp_path / "a.md") == ""
