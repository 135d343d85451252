"""Files of every kind become samples; what cannot is refused with its reason."""

from __future__ import annotations

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.db import connection

from distill.logic.columns import Mapping
from distill.logic.completion_key import completion_key
from distill.logic.errors import ConflictError, InputError
from distill.models import Completion, CompletionState, Dataset, RefusedRow, Sample, SourceFile
from distill.services.ingest import create_dataset, dataset_for_file, import_file
from distill.services.ingest import run as ingest_run
from distill.services.ingest.preview import choose_mapping, preview_file
from tests.builders import make_dataset, make_user

pytestmark = pytest.mark.django_db

PASSAGE = "Nitrification slows when soils dry, and recovers within days of rain. " * 3


def papers(num):
    return [
        {"paper_id": f"p{number}", "title": f"Paper {number}", "abstract": f"{number}. {PASSAGE}"}
        for number in range(num)
    ]


def write_jsonl(path, rows):
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return path


def bring_in(path, dataset=None, mapping=None, **options):
    return import_file(
        dataset=dataset or make_dataset(), path=path, name=path.name, mapping=mapping, **options
    )


def counts(source_file):
    source_file.refresh_from_db()
    return (
        source_file.rows_read,
        source_file.rows_kept,
        source_file.rows_refused,
        source_file.rows_duplicate,
    )


def as_jsonl(folder, rows):
    return write_jsonl(folder / "papers.jsonl", rows)


def as_json(folder, rows):
    path = folder / "papers.json"
    path.write_text(json.dumps(rows))
    return path


def as_keyed_json(folder, rows):
    path = folder / "papers.json"
    path.write_text(json.dumps({row["paper_id"]: row for row in rows}))
    return path


def as_wrapped_json(folder, rows):
    path = folder / "papers.json"
    path.write_text(json.dumps({"version": 3, "data": rows}))
    return path


def as_parquet(folder, rows):
    path = folder / "papers.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def as_csv(folder, rows, *, name="papers.csv", delimiter=","):
    path = folder / name
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def as_tsv(folder, rows):
    return as_csv(folder, rows, name="papers.tsv", delimiter="\t")


def as_semicolons(folder, rows):
    return as_csv(folder, rows, delimiter=";")


@pytest.mark.parametrize(
    "write",
    [
        as_jsonl,
        as_json,
        as_keyed_json,
        as_wrapped_json,
        as_parquet,
        as_csv,
        as_tsv,
        as_semicolons,
    ],
)
def test_every_kind_of_file_gives_the_same_samples(tmp_path, write):
    done = bring_in(write(tmp_path, papers(3)))
    assert counts(done) == (3, 3, 0, 0)
    assert done.state == SourceFile.State.DONE
    first = done.samples.get(source_key="p0")
    assert first.text == f"0. {PASSAGE.strip()}"
    assert (first.title, first.split) == ("Paper 0", "train")
    assert sorted(done.samples.values_list("source_key", flat=True)) == ["p0", "p1", "p2"]


def test_the_same_content_has_the_same_key_in_every_kind_and_dataset(tmp_path):
    keys = [
        frozenset(bring_in(write(tmp_path, papers(3))).samples.values_list("key", flat=True))
        for write in (as_jsonl, as_parquet, as_csv)
    ]
    assert keys[0] == keys[1] == keys[2]


def test_a_folder_gives_a_sample_for_each_text_file(tmp_path):
    folder = tmp_path / "notes"
    (folder / "deep").mkdir(parents=True)
    (folder / "b.md").write_text("# On soil\n\nSoil dries.")
    (folder / "deep" / "a.txt").write_text("Rock melts.\r\nSlowly.")
    (folder / "latin.txt").write_bytes("Bös".encode("latin-1"))
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / "link.txt").symlink_to("/etc/hostname")
    done = bring_in(folder)
    assert counts(done) == (3, 2, 1, 0)
    assert dict(done.samples.values_list("source_key", "title")) == {
        "b.md": "On soil",
        "deep/a.txt": "a",
    }
    assert done.samples.get(source_key="deep/a.txt").text == "Rock melts.\nSlowly."
    assert "latin.txt is not UTF-8" in done.refused_rows.get().message


def test_pubmedqa_is_known(tmp_path):
    path = tmp_path / "pqal.json"
    row = {
        "QUESTION": "Do soils breathe?",
        "CONTEXTS": ["Soils hold air.", "We measured it."],
        "LABELS": ["BACKGROUND", "METHODS"],
        "MESHES": ["Soil"],
        "YEAR": "2011",
        "LONG_ANSWER": "They do.",
    }
    path.write_text(json.dumps({"21645374": row}))
    sample = bring_in(path).samples.get()
    assert sample.text == "BACKGROUND: Soils hold air.\nMETHODS: We measured it."
    assert sample.instruction == "Do soils breathe?"
    assert (sample.source_key, sample.domain) == ("21645374", "biomedicine")
    assert sample.metadata == {"MESHES": ["Soil"], "YEAR": "2011", "LONG_ANSWER": "They do."}


def test_scitldr_is_known(tmp_path):
    row = {
        "source": ["We train nets.", "They learn."],
        "source_labels": [0, 1],
        "rouge_scores": [0.1, 0.2],
        "paper_id": "SysEexbRb",
        "target": ["Nets learn."],
        "title": "On nets",
    }
    sample = bring_in(write_jsonl(tmp_path / "scitldr.jsonl", [row])).samples.get()
    assert sample.text == "We train nets. They learn."
    assert (sample.source_key, sample.title) == ("SysEexbRb", "On nets")
    assert sample.domain == "computer science"


def test_the_guides_raw_texts_are_known(tmp_path):
    path = tmp_path / "biology_enhanced.json"
    path.write_text(
        json.dumps({"texts": ["Explain osmosis.", "Explain ATP."], "generated_at": 1.5})
    )
    done = bring_in(path)
    sample = done.samples.first()
    assert (sample.text, sample.instruction) == ("Explain osmosis.", "")
    assert (sample.domain, sample.metadata) == ("biology", {"generated_at": 1.5})


def test_the_guides_teacher_inputs_are_known(tmp_path):
    rows = [
        {
            "domain": "physics",
            "template_name": name,
            "user_prompt": "Derive the drag law.",
            "template_prompt": "Use {context}.",
            "system_prompt": "You are …",
            "source_file": "physics_enhanced.json",
            "generated_at": 1.5,
        }
        for name in ("hypothesis", "methodology")
    ]
    done = bring_in(as_parquet(tmp_path, rows))
    first, second = done.samples.all()
    assert (first.text, first.instruction) == ("Derive the drag law.", "")
    assert (first.template_name, second.template_name) == ("hypothesis", "methodology")
    assert (first.group_key, first.split) == (second.group_key, second.split)
    assert first.metadata == {"source_file": "physics_enhanced.json", "generated_at": 1.5}


def test_an_instruction_stands_beside_its_passage(tmp_path):
    rows = [{"context": PASSAGE, "user_prompt": "Why?"}, {"context": None, "user_prompt": "How?"}]
    first, second = bring_in(write_jsonl(tmp_path / "in.jsonl", rows)).samples.all()
    assert (first.text, first.instruction) == (PASSAGE.strip(), "Why?")
    assert (second.text, second.instruction) == ("How?", "")


def test_answers_come_as_completions_without_a_call(tmp_path):
    answer = '{"hypothesis": "H", "methodology": "M"}'
    row = {
        "context": PASSAGE,
        "teacher_output": answer,
        "model_id": "gpt-4o",
        "latency_ms": 1200.0,
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "total_tokens": 30,
    }
    done = bring_in(write_jsonl(tmp_path / "out.jsonl", [row, {"context": f"Other. {PASSAGE}"}]))
    assert counts(done) == (2, 2, 0, 0)
    completion = Completion.objects.get()
    assert completion.fields == {"hypothesis": "H", "methodology": "M"}
    assert (completion.teacher, completion.origin) == ("gpt-4o", "imported")
    assert (completion.latency_ms, completion.completion_tokens) == (1200, 20)
    assert completion.call is None
    assert completion.key == completion_key(
        sample_key=completion.sample.key, draw=0, attempt=1, teacher="gpt-4o", text=answer
    )
    assert completion.state_row.state == CompletionState.State.NEW
    assert completion.state_row.is_open


def test_only_the_latest_attempt_of_a_draw_is_open(tmp_path):
    row = {"context": PASSAGE, "teacher": "m"}
    rows = [
        {**row, "teacher_output": "second", "attempt": 2},
        {**row, "teacher_output": "first", "attempt": 1},
        {**row, "teacher_output": "another", "attempt": 1, "draw": 1},
        {**row, "teacher_output": "of another", "teacher": "n"},
    ]
    done = bring_in(write_jsonl(tmp_path / "out.jsonl", rows))
    assert counts(done) == (4, 4, 0, 0)
    open_texts = CompletionState.objects.filter(is_open=True).values_list(
        "completion__text", flat=True
    )
    assert set(open_texts) == {"second", "another", "of another"}


def test_outputs_join_the_samples_of_their_inputs(tmp_path):
    dataset = make_dataset()
    bring_in(write_jsonl(tmp_path / "in.jsonl", [{"context": PASSAGE}]), dataset)
    row = {"context": PASSAGE, "teacher_output": "answer"}
    done = bring_in(write_jsonl(tmp_path / "out.jsonl", [row]), dataset)
    assert counts(done) == (1, 1, 0, 0)
    assert Completion.objects.get().sample == Sample.objects.get()


def test_the_same_file_twice_adds_nothing(tmp_path):
    dataset, path = make_dataset(), as_jsonl(tmp_path, papers(3))
    first = bring_in(path, dataset)
    second = bring_in(path, dataset)
    assert second == first
    assert dataset.samples.count() == 3


def test_the_same_rows_in_another_file_are_duplicates(tmp_path):
    dataset = make_dataset()
    bring_in(as_jsonl(tmp_path, papers(3)), dataset)
    done = bring_in(as_parquet(tmp_path, papers(4)), dataset)
    assert counts(done) == (4, 1, 0, 3)
    again = bring_in(as_csv(tmp_path, papers(4)), dataset)
    assert counts(again) == (4, 0, 0, 4)
    assert "nothing was added" in again.message


def test_duplicates_inside_a_file_are_skipped(tmp_path):
    rows = [*papers(2), *papers(2)]
    assert counts(bring_in(as_jsonl(tmp_path, rows))) == (4, 2, 0, 2)


def test_nested_paths_and_constants(tmp_path):
    row = {
        "paper": {"title": "T", "ids": ["a", "b"]},
        "sections": [
            {"heading": "Methods", "text": ["We dug.", "We weighed."]},
            {"heading": "Results", "text": "It was heavy."},
        ],
    }
    mapping = Mapping(
        {
            "text": "sections",
            "title": "paper.title",
            "source_key": "paper.ids.1",
            "domain": "=geology",
        }
    )
    sample = bring_in(write_jsonl(tmp_path / "in.jsonl", [row]), mapping=mapping).samples.get()
    assert sample.text == "Methods: We dug. We weighed.\nResults: It was heavy."
    assert (sample.title, sample.source_key, sample.domain) == ("T", "b", "geology")


def test_bad_rows_are_refused_one_by_one(tmp_path):
    good = json.dumps(papers(1)[0]).encode()
    bad = [
        b'{"abstract": null}',
        b'{"abstract": 42}',
        b'{"abstract": "   "}',
        b'{"abstract": "nul \\u0000 inside"}',
        b'{"abstract": "' + b"x" * 1_000_001 + b'"}',
        b'{"abstract": "Caf\xe9"}',
        b'{"abstract": "cut of',
        b"[1, 2]",
        b'{"abstract": ["one", 2]}',
    ]
    path = tmp_path / "papers.jsonl"
    path.write_bytes(b"\n".join([good, *bad]))
    done = bring_in(path)
    assert counts(done) == (10, 1, 9, 0)
    found = {row.line: row for row in done.refused_rows.all()}
    words = {
        2: "empty",
        3: "a number (42)",
        4: "blank",
        5: "NUL",
        6: "1.0 MB",
        7: "not UTF-8",
        8: "not whole JSON",
        9: "list",
        10: "a number (2)",
    }
    for line, word in words.items():
        assert word in found[line].message, line
    assert found[2].field == "text"


def test_ten_megabytes_in_one_cell(tmp_path):
    rows = [*papers(1), {**papers(1)[0], "abstract": "x" * 10_000_000}]
    for write in (as_csv, as_parquet, as_jsonl):
        done = bring_in(write(tmp_path, rows))
        assert counts(done)[1:3] == (1, 1)
        assert "10.0 MB, at most 1 MB" in done.refused_rows.get().message


def test_rows_of_a_csv_that_do_not_fit_its_header(tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes(
        b'id,text\n1,good text\n2,one,too many\n3,Caf\xe9\n4,"two\nlines"\n5,"never closed\n'
    )
    done = bring_in(path)
    assert counts(done) == (5, 2, 3, 0)
    assert [row.line for row in done.refused_rows.all()] == [3, 4, 7]
    assert done.samples.get(source_key="4").line == 5


def test_the_first_thousand_refused_rows_are_kept_and_all_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest_run, "BATCH_ROWS", 100)
    rows = [*papers(1), *({"abstract": None} for _ in range(1200))]
    done = bring_in(as_jsonl(tmp_path, rows))
    assert counts(done) == (1201, 1, 1200, 0)
    assert RefusedRow.objects.count() == 1000


def test_line_numbers_count_blank_lines(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text('\n{"text": "good"}\n\n{"text": 1}\n')
    done = bring_in(path)
    assert counts(done) == (2, 1, 1, 0)
    assert done.refused_rows.get().line == 4


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl", b"\n\n", "holds no rows"),
        ("a.jsonl", b"garbage", "not whole JSON"),
        ("a.jsonl", '{"text": "x"}'.encode("utf-16"), "UTF-16"),
        ("a.csv", "text\nx".encode("utf-16-le"), "UTF-16"),
        ("a.csv", b"text,text\nx,y", "each name once"),
        ("a.csv", b"text\n", "holds no rows"),
        ("a.csv", b",\nx,y", "must name the columns"),
        ("a.json", b'[{"text": "x"}, {"te', "not whole JSON"),
        ("a.json", b"42", "a list or an object"),
        ("a.json", b"[]", "holds no rows"),
        ("a.json", '[{"text": "Caf\u00e9"}]'.encode("latin-1"), "not UTF-8"),
        ("a.parquet", b"PAR1 and nothing else", "cannot be read as Parquet"),
        ("a.parquet", b"no parquet at all", "cannot be read as Parquet"),
        ("a.jsonl", b"PAR1xxxx", "Parquet"),
        ("a.docx", b"PK", ".docx cannot be imported"),
        ("a.jsonl", b'{"size": 1}', "no column looks like text"),
        ("a.jsonl", b'{"text": null}\n{"text": 3}', "none of its 2 rows"),
    ],
)
def test_files_that_cannot_be_used_say_so(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    dataset = make_dataset()
    with pytest.raises(InputError, match=words) as caught:
        bring_in(path, dataset)
    assert name in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert not dataset.samples.exists()


def test_columns_without_a_name_are_numbered(tmp_path):
    """As a data frame's index is written, and a spreadsheet's empty last column."""
    path = tmp_path / "in.csv"
    path.write_text(",text,\n7,The kelp grew.,\n")
    bring_in(path, dataset := make_dataset())
    sample = dataset.samples.get()
    assert sample.text == "The kelp grew."
    assert sample.metadata["column_1"] == "7"


@pytest.mark.parametrize(
    ("name", "content", "title"),
    [("Kelp notes.txt", "It grew.", "Kelp notes"), ("n.md", "# Kelp\nIt grew.", "Kelp")],
)
def test_a_texts_title_is_of_the_name_as_given(tmp_path, name, content, title):
    stored = tmp_path / "0b7c"
    stored.write_text(content)
    mapping = choose_mapping(stored, name)
    assert [draft.title for draft in preview_file(stored, name, mapping).rows] == [title]


def test_a_table_without_rows_is_said_to_have_none(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("text,domain\n")
    assert [problem.message for problem in preview_file(path, path.name).problems] == [
        "in.csv holds no rows."
    ]
    path.write_bytes("text\nGr\u00f6\u00dfe\n".encode("latin-1"))
    assert [problem.line for problem in preview_file(path, path.name).problems] == [2]


def test_a_parquet_that_was_cut_off(tmp_path):
    path = as_parquet(tmp_path, papers(50))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="copied or downloaded whole"):
        bring_in(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        bring_in(tmp_path / "gone.jsonl")


def test_a_column_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="there is no column 'body' for text") as caught:
        bring_in(as_jsonl(tmp_path, papers(1)), mapping=Mapping({"text": "body"}))
    assert "paper_id, title, abstract" in str(caught.value)


def test_an_unknown_field():
    with pytest.raises(InputError, match="no field 'body'"):
        Mapping({"body": "text"})


def test_only_the_base_of_a_name_is_kept(tmp_path):
    path = as_jsonl(tmp_path, papers(1))
    done = import_file(dataset=make_dataset(), path=path, name="../../etc/papers.jsonl")
    assert done.name == "papers.jsonl"


def test_a_document_stays_in_one_split(tmp_path):
    rows = [{"paper_id": f"p{n % 40}", "text": f"Passage {n}. {PASSAGE}"} for n in range(400)]
    dataset = make_dataset()
    bring_in(write_jsonl(tmp_path / "a.jsonl", rows[:200]), dataset)
    bring_in(write_jsonl(tmp_path / "b.jsonl", rows[200:]), dataset)
    pairs = set(dataset.samples.values_list("source_key", "split"))
    assert len(pairs) == 40
    assert len({split for _, split in pairs}) > 1


def test_a_passage_stays_in_one_split_however_it_is_spelt(tmp_path):
    rows = []
    for number in range(60):
        rows.append({"paper_id": f"a{number}", "text": f"Passage {number}. {PASSAGE}"})
        rows.append({"paper_id": f"b{number}", "text": f"PASSAGE {number}:  {PASSAGE}!"})
    dataset = make_dataset()
    bring_in(write_jsonl(tmp_path / "a.jsonl", rows[:60]), dataset)
    bring_in(write_jsonl(tmp_path / "b.jsonl", rows[60:]), dataset)
    splits = dict(dataset.samples.values_list("source_key", "split"))
    assert len(splits) == 120
    assert all(splits[f"a{number}"] == splits[f"b{number}"] for number in range(60))
    assert set(splits.values()) == {"train", "validation", "test"}


def test_a_row_that_would_tie_two_splits_together_is_refused(tmp_path):
    dataset = make_dataset()
    rows = [{"paper_id": f"p{n}", "text": f"Passage {n}. {PASSAGE}"} for n in range(60)]
    bring_in(write_jsonl(tmp_path / "a.jsonl", rows), dataset)
    in_train = dataset.samples.filter(split="train").first()
    in_test = dataset.samples.filter(split="test").first()
    leak = {"paper_id": in_train.source_key, "text": f"{in_test.text}!", "title": "New"}
    done = bring_in(write_jsonl(tmp_path / "b.jsonl", [leak, {"text": "Fine."}]), dataset)
    assert counts(done) == (2, 1, 1, 0)
    assert "leak" in done.refused_rows.get().message


class PowerCutError(Exception):
    pass


def test_an_interrupted_import_goes_on_with_the_same_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest_run, "BATCH_ROWS", 10)
    rows = [*papers(30), *papers(5), {"abstract": None}, *papers(50)[30:]]
    path, dataset = as_jsonl(tmp_path, rows), make_dataset()

    def cut(source_file):
        if source_file.rows_read == 30:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        bring_in(path, dataset, on_progress=cut)
    halfway = SourceFile.objects.get()
    assert halfway.state == SourceFile.State.FAILED
    assert dataset.samples.count() == halfway.rows_kept == 30
    done = bring_in(path, dataset)
    assert done == halfway
    assert counts(done) == (56, 50, 1, 5)
    assert done.state == SourceFile.State.DONE
    assert RefusedRow.objects.count() == 1


def test_a_dataset_deleted_meanwhile_stops_the_import(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest_run, "BATCH_ROWS", 10)
    dataset = make_dataset()

    def delete(_source_file):
        Dataset.objects.filter(pk=dataset.pk).delete()

    with pytest.raises(ConflictError, match="deleted during the import"):
        bring_in(as_jsonl(tmp_path, papers(30)), dataset, on_progress=delete)
    assert not Sample.objects.exists()


def test_progress_is_told_after_each_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest_run, "BATCH_ROWS", 10)
    seen = []
    bring_in(as_jsonl(tmp_path, papers(25)), on_progress=lambda file: seen.append(file.rows_kept))
    assert seen == [10, 20, 25]


def test_nothing_temporary_is_left(tmp_path):
    bring_in(as_jsonl(tmp_path, papers(2)))
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relname LIKE 'import_%'")
        assert cursor.fetchall() == []
        # Other tests' databases lie on the same server.
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        )
        assert cursor.fetchone() == (0,)


def test_a_large_parquet_is_read_in_small_batches(tmp_path):
    path = tmp_path / "large.parquet"
    rows = [{"text": f"{number}. {'x' * 200_000}"} for number in range(120)]
    pq.write_table(pa.Table.from_pylist(rows), path)
    seen = []
    bring_in(path, on_progress=lambda file: seen.append(file.rows_read))
    assert seen[0] < 100
    assert seen[-1] == 120


def test_datasets_are_made_by_name():
    user = make_user("operator")
    dataset = create_dataset(name="böden-2026_a", description=" Soils. ", user=user)
    assert (dataset.description, dataset.created_by) == ("Soils.", user)
    with pytest.raises(ConflictError, match="already"):
        create_dataset(name="böden-2026_a")


@pytest.mark.parametrize("name", ["", "two words", "../up", "a" * 101, "<script>"])
def test_names_that_cannot_be_a_part_of_an_address(name):
    with pytest.raises(InputError, match="cannot be a dataset's name"):
        create_dataset(name=name)


def test_a_file_has_one_dataset_of_its_own(tmp_path):
    path = as_jsonl(tmp_path, papers(1))
    dataset = dataset_for_file(path)
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(path.read_bytes())
    assert dataset_for_file(copy) == dataset
    assert dataset.name.startswith("file-")
    assert len(dataset.name) == len("file-") + 12


def test_an_import_gives_signs_of_life(tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("A text that is long enough to be a sample of its own.")
    source_file = import_file(dataset=make_dataset(), path=path, name=path.name)
    source_file.refresh_from_db()
    assert source_file.beat_at is not None
