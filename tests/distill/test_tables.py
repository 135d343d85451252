"""The tables of the file form, written from a real run over the offline teacher."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import polars as pl
import pyarrow.parquet as pq
import pytest

import distill
from distill.logic.columns import guess_mapping
from distill.logic.errors import InputError
from distill.logic.reasons import Reason
from distill.logic.samples import SampleDraft, draft_sample
from distill.models import Completion, Run, SampleDraw
from distill.services.ingest.run import import_file
from distill.services.runs import create_run
from distill.services.step import run_step
from distill.services.tables import (
    FLAGGED_SCHEMA,
    OUTPUT_SCHEMA,
    REJECTION_SCHEMA,
    write_outputs,
    write_rejections,
    write_sft,
)
from distill.teachers.offline import offline_teacher
from tests.builders import (
    make_dataset,
    make_judgement,
    make_label,
    make_recipe,
    make_run,
    make_sample,
    make_sample_draw,
)

PASSAGES = Path(distill.__file__).parent / "demo" / "passages.jsonl"
PASSED = SampleDraw.State.PASSED


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with offline_teacher(0) as base_url:
        yield base_url


@pytest.fixture
def real_run(transactional_db, url) -> Run:
    dataset = make_dataset()
    for line in PASSAGES.read_bytes().splitlines()[:24]:
        passage = orjson.loads(line)
        draft = draft_sample(passage, guess_mapping(list(passage)))
        assert isinstance(draft, SampleDraft)
        make_sample(dataset, key=draft.key, text=draft.text, domain=draft.domain, title=draft.title)
    run = create_run(dataset=dataset, recipe=make_recipe(), kind=Run.Kind.PIPELINE)
    run_step(run.pk, offline_url=url)
    return run


def test_outputs_come_back_as_the_same_samples_and_answers(real_run, tmp_path):
    dst = tmp_path / "deep" / "teacher_outputs_v1.parquet"
    seen: list[int] = []
    assert write_outputs(run=real_run, dst=dst, on_progress=seen.append) == 24
    assert seen[-1] == 24
    table = pq.read_table(dst)
    assert table.schema.equals(OUTPUT_SCHEMA)
    rows = table.to_pylist()
    mapping = guess_mapping(table.column_names, rows)
    for row in rows:
        draft = draft_sample(row, mapping)
        assert isinstance(draft, SampleDraft)
        assert draft.key == row["sample_id"]
        assert draft.source_key == row["source_id"]
        assert draft.answer is not None
        assert draft.answer.text == row["teacher_output"].strip()
        assert draft.answer.teacher == "offline:extractive"
        assert draft.answer.attempt == row["attempt"]
        assert row["total_tokens"] == row["prompt_tokens"] + row["completion_tokens"]
        assert row["context"] in real_run.dataset.samples.get(key=row["sample_id"]).text


def test_an_imported_table_holds_what_was_written(real_run, tmp_path):
    dst = tmp_path / "teacher_outputs_v1.parquet"
    write_outputs(run=real_run, dst=dst)
    again = make_dataset("again")
    import_file(dataset=again, path=dst, name=dst.name)
    written = pq.read_table(dst).to_pylist()
    kept = {sample.key: sample for sample in again.samples.all()}
    assert len(kept) == 24
    assert {row["sample_id"]: row["context"] for row in written} == {
        key: sample.text for key, sample in kept.items()
    }
    answers = {one.key: one.fields for one in Completion.objects.filter(sample__dataset=again)}
    keys = [row["completion_id"] for row in written]
    originals = Completion.objects.filter(sample__dataset=real_run.dataset, key__in=keys)
    assert answers == {one.key: one.fields for one in originals}


def test_flags_and_rejections_account_for_every_sample(real_run, tmp_path):
    kept, lost = tmp_path / "filtered.parquet", tmp_path / "rejections.parquet"
    num_kept = write_outputs(run=real_run, dst=kept, states=[PASSED], flags=True)
    num_lost = write_rejections(run=real_run, dst=lost)
    assert num_kept + num_lost == 24
    passing = pl.read_parquet(kept)
    assert passing["passes_all"].all()
    assert passing["quality_pass"].all()
    assert passing["mean_score"].min() >= 0.8
    assert set(orjson.loads(passing["judge_scores"][0])) == {"F"}
    assert set(passing["sample_id"]).isdisjoint(pl.read_parquet(lost)["sample_id"])


@pytest.mark.django_db
def test_rejections_hold_every_reason(tmp_path):
    run = make_run()
    make_sample_draw(run)
    make_sample_draw(run, state="rejected", reasons=[Reason.TOO_SHORT, Reason.CITATION], attempt=2)
    lost = make_sample_draw(run, state="failed", failure_kind="timeout")
    lost.failure_message = "No answer in 180 s."
    lost.save()
    make_sample_draw(run, outcome="rejected", people_reasons=[Reason.TRIVIAL])
    dst = tmp_path / "rejections.parquet"
    assert write_rejections(run=run, dst=dst) == 3
    table = pq.read_table(dst)
    assert table.schema.equals(REJECTION_SCHEMA)
    rules, failed, people = table.to_pylist()
    assert rules["rejection_reason"] == "too_short"
    assert rules["rejection_reasons"] == ["too_short", "citation"]
    assert (rules["rejection_stage"], rules["attempts"]) == ("rules", 2)
    assert (rules["length_char_ok"], rules["action_verb_ok"], rules["no_citations"]) == (
        *(False, True, False),
    )
    assert failed["rejection_stage"] == "generate"
    assert failed["rejection_reason"] == "timeout"
    assert orjson.loads(failed["evidence"]) == [
        {"reason": "timeout", "detail": "No answer in 180 s."}
    ]
    assert failed["teacher_output"] is None
    assert (people["rejection_stage"], people["rejection_reason"]) == ("review", "trivial")


@pytest.mark.django_db
@pytest.mark.parametrize("flags", [True, False])
def test_no_rows_still_make_a_table_with_its_columns(tmp_path, flags):
    dst = tmp_path / "none.parquet"
    assert write_outputs(run=make_run(), dst=dst, flags=flags) == 0
    table = pq.read_table(dst)
    assert table.num_rows == 0
    assert table.schema.equals(FLAGGED_SCHEMA if flags else OUTPUT_SCHEMA)
    assert write_rejections(run=make_run(), dst=dst) == 0
    assert pq.read_table(dst).schema.equals(REJECTION_SCHEMA)


@pytest.mark.django_db
def test_rows_take_a_fixed_number_of_queries(tmp_path, django_assert_num_queries):
    run = make_run()
    for _ in range(12):
        completion = make_sample_draw(run).completion
        assert completion is not None
        make_judgement(completion)
    # Recipe, dataset, files; then a batch, its scores, and the empty batch at the end.
    with django_assert_num_queries(4):
        write_outputs(run=run, dst=tmp_path / "x.parquet", flags=True)


@pytest.mark.django_db
def test_sft_files_stand_side_by_side_with_their_splits(tmp_path):
    run = make_run()
    for _ in range(3):
        make_sample_draw(run)
    other = make_sample_draw(make_run(run.dataset, recipe=run.recipe))
    dst = tmp_path / "sft" / "sft_scientific_v1.jsonl"
    assert write_sft(source=run, policy="gate", dst=dst) == 3
    names = {path.name for path in dst.parent.iterdir()}
    stems = [f"sft_scientific_v1{end}" for end in ("", "_train", "_validation", "_test")]
    assert names == {
        "sft_scientific_v1.manifest.json",
        *(f"{stem}.{kind}" for stem in stems for kind in ("jsonl", "parquet")),
    }
    rows = [orjson.loads(line) for line in dst.read_bytes().splitlines()]
    assert pq.read_table(dst.with_suffix(".parquet")).to_pylist() == rows
    assert other.completion is not None
    assert other.completion.key not in {row["completion_id"] for row in rows}
    manifest = orjson.loads(dst.with_suffix(".manifest.json").read_bytes())
    assert {file["name"] for file in manifest["files"]} == names - {
        "sft_scientific_v1.manifest.json"
    }
    before = {path.name: path.read_bytes() for path in dst.parent.iterdir()}
    write_sft(source=run, policy="gate", dst=dst)
    assert before == {path.name: path.read_bytes() for path in dst.parent.iterdir()}


@pytest.mark.django_db
def test_sft_of_a_dataset_takes_what_people_accepted(tmp_path):
    run = make_run()
    draw = make_sample_draw(run)
    make_sample_draw(run)
    assert draw.completion is not None
    dst = tmp_path / "x.jsonl"
    with pytest.raises(InputError, match="2 await review"):
        write_sft(source=run.dataset, policy="reviewed", dst=dst)
    assert not dst.exists()
    make_label(draw.completion)
    assert write_sft(source=run.dataset, policy="reviewed", dst=dst) == 1
