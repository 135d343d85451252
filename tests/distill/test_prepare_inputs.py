"""Papers into the guide's table, and the commands that read files."""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from distill.logic.samples import sample_key
from distill.models import Dataset, Sample
from distill.services.ingest import import_file
from tests.builders import make_dataset

PASSAGE = "Nitrification slows when soils dry, and recovers within days of rain. " * 3


def write(path, rows):
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


@pytest.fixture
def papers(tmp_path):
    rows = [
        {"source": [f"Number {n}.", PASSAGE], "paper_id": f"p{n}", "title": f"T {n}"}
        for n in range(3)
    ]
    return write(tmp_path / "papers.jsonl", rows)


def call(name, *args, **options):
    out, err = io.StringIO(), io.StringIO()
    call_command(name, *map(str, args), stdout=out, stderr=err, **options)
    return out.getvalue(), err.getvalue()


def table(path):
    return pq.read_table(path).to_pylist()


@pytest.mark.django_db
def test_the_guides_columns_and_ours(papers, tmp_path):
    dst = tmp_path / "new" / "in.parquet"
    out, _ = call("prepare_inputs", "--src", papers, "--text-column", "source", "--dst", dst)
    assert "3 rows" in out
    first = table(dst)[0]
    assert set(first) == {
        "domain",
        "template_name",
        "user_prompt",
        "context",
        "template_prompt",
        "system_prompt",
        "source_file",
        "generated_at",
        "sample_id",
        "source_id",
        "split",
        "title",
    }
    assert first["context"] == f"Number 0. {PASSAGE.strip()}"
    assert (first["source_id"], first["title"]) == ("p0", "T 0")
    assert first["template_name"] == "pair"
    assert "{context}" in first["template_prompt"]
    assert first["source_file"] == "papers.jsonl"
    assert first["generated_at"] == papers.stat().st_mtime


@pytest.mark.django_db
def test_the_default_path_is_in_the_data_folder(papers, data_dir):
    call("prepare_inputs", "--src", papers)
    dst = data_dir / "processed/distillation/teacher_inputs/teacher_inputs_v1.parquet"
    assert len(table(dst)) == 3


@pytest.mark.django_db
def test_the_same_source_gives_the_same_bytes(papers, tmp_path):
    first, second = tmp_path / "1.parquet", tmp_path / "2.parquet"
    call("prepare_inputs", "--src", papers, "--dst", first)
    call("prepare_inputs", "--src", papers, "--dst", second)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.django_db
def test_a_row_for_each_template(papers, tmp_path):
    dst = tmp_path / "in.parquet"
    call("prepare_inputs", "--src", papers, "--dst", dst, "--templates", "hypothesis,methodology")
    names = [row["template_name"] for row in table(dst)]
    assert names == ["hypothesis", "methodology"] * 3
    with pytest.raises(CommandError, match="no template 'poem'"):
        call("prepare_inputs", "--src", papers, "--dst", dst, "--templates", "poem")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "row",
    [
        {"abstract": PASSAGE, "doi": "10/1", "title": "T", "domain": "soil"},
        {"abstract": PASSAGE, "question": "Why?"},
        {"user_prompt": "Explain osmosis.", "domain": "biology", "template_name": "hypothesis"},
        {"context": None, "user_prompt": "Explain osmosis."},
    ],
    ids=["passage", "passage-and-question", "guide", "guide-with-empty-context"],
)
def test_the_table_imports_as_the_same_samples(tmp_path, row):
    src = write(tmp_path / "papers.jsonl", [row])
    dst = tmp_path / "in.parquet"
    call("prepare_inputs", "--src", src, "--dst", dst)
    direct = import_file(dataset=make_dataset(), path=src, name=src.name).samples.get()
    through = import_file(dataset=make_dataset(), path=dst, name=dst.name).samples.get()
    for name in ("text", "instruction", "domain", "title", "source_key", "group_key", "split"):
        assert getattr(through, name) == getattr(direct, name), name
    written = table(dst)[0]
    assert (written["sample_id"], written["split"]) == (through.key, through.split)
    assert through.key == sample_key(
        text=direct.text,
        instruction=direct.instruction,
        domain=direct.domain,
        template_name=row.get("template_name", "pair"),
        title=direct.title,
    )


@pytest.mark.django_db
def test_nothing_useful_leaves_no_file(tmp_path):
    src = write(tmp_path / "papers.jsonl", [{"abstract": None}, {"abstract": 3}])
    dst = tmp_path / "in.parquet"
    with pytest.raises(CommandError, match="none of its 2 rows"):
        call("prepare_inputs", "--src", src, "--dst", dst, "--text-column", "abstract")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["papers.jsonl"]


@pytest.mark.django_db
def test_import_dataset_makes_the_dataset_and_counts(papers, tmp_path):
    bad = write(tmp_path / "bad.jsonl", [{"source": ["Fine."]}, {"source": None}])
    out, err = call("import_dataset", papers, bad, "--dataset", "soil", "--text-column", "source")
    assert "soil: 3 of 3 rows imported, 0 duplicate, 0 refused." in out
    assert "soil: 1 of 2 rows imported, 0 duplicate, 1 refused." in out
    assert "line 2: The text is empty." in err
    assert Dataset.objects.get(name="soil").samples.count() == 4
    out, _ = call("import_dataset", papers, "--dataset", "soil", "--text-column", "source")
    assert "was imported into soil before; nothing was added" in out


@pytest.mark.django_db
def test_columns_are_named_on_the_command_line(tmp_path):
    src = write(tmp_path / "in.jsonl", [{"a": {"b": PASSAGE}, "c": "soil", "d": "doc-1"}])
    call(
        "import_dataset",
        src,
        "--dataset",
        "soil",
        "--text-column",
        "a.b",
        "--source-column",
        "d",
        "--map",
        "domain=c",
        "--map",
        "title==A title",
    )
    sample = Sample.objects.get()
    assert (sample.domain, sample.source_key, sample.title) == ("soil", "doc-1", "A title")


@pytest.mark.django_db
def test_a_preview_stores_nothing(papers):
    out, _ = call("import_dataset", papers, "--dataset", "soil", "--preview")
    assert "text ← source" in out
    assert "Number 2." in out
    assert not Dataset.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--text-column", "body"], "there is no column 'body'"),
        (["--map", "body=source"], "write FIELD=PATH"),
        (["--map", "text"], "write FIELD=PATH"),
    ],
)
def test_wrong_columns_leave_no_dataset_behind(papers, arguments, words):
    with pytest.raises(CommandError, match=words):
        call("import_dataset", papers, "--dataset", "soil", *arguments)
    assert not Dataset.objects.exists()


@pytest.mark.django_db
def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(CommandError, match="no such file"):
        call("import_dataset", tmp_path / "gone.jsonl", "--dataset", "soil")
