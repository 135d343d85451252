"""A dataset's snapshot holds what the gate would need, and nothing of the texts."""

from __future__ import annotations

import pytest

from distill.logic.recipe import default_recipe
from distill.logic.what_if import Settings, evaluate
from distill.models import Export, ExportedCompletion, Judgement
from distill.queries.snapshot import load_snapshot, snapshot_path
from distill.services.snapshots import take_snapshot
from tests.builders import (
    asked_as,
    make_completion,
    make_dataset,
    make_judgement,
    make_label,
    make_recipe,
    make_run,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _data(settings, tmp_path):
    settings.DATA_DIR = tmp_path


def snapshot_of(dataset):
    take_snapshot(dataset=dataset)
    return load_snapshot(dataset)


def test_there_is_none_before_one_is_taken():
    assert load_snapshot(make_dataset()) is None


def test_an_empty_dataset_has_an_empty_one():
    dataset = make_dataset()
    assert take_snapshot(dataset=dataset) == 0
    assert evaluate(load_snapshot(dataset).frame, Settings.of(default_recipe())).total == 0


def test_it_holds_a_row_for_each_completion_and_no_text():
    dataset = make_dataset()
    panel = make_run(dataset, recipe=make_recipe(judges=[{"name": "F"}, {"name": "R"}])).recipe
    judged, bare = make_completion(dataset=dataset), make_completion(dataset=dataset)
    make_completion()  # another dataset's
    asked = asked_as(panel.content)
    make_judgement(judged, scores={"grounding": 0.5}, **asked)
    make_judgement(judged, scores={"grounding": 0.75}, flags=["safety_x"], **asked)
    Judgement.objects.create(
        completion=judged, error="no JSON object", **asked_as(panel.content, "R")
    )
    make_label(judged)
    rows = {row["completion_id"]: row for row in snapshot_of(dataset).frame.to_dicts()}
    assert set(rows) == {judged.pk, bare.pk}
    row = rows[judged.pk]
    assert (row["score:F:grounding"], row["judge_state:F"]) == (0.75, "valid")
    assert (row["judge_state:R"], row["flag:safety"], row["label"]) == ("invalid", True, "accepted")
    assert row["chars"] == len(judged.text)
    assert (rows[bare.pk]["score:F:grounding"], rows[bare.pk]["label"]) == (None, None)
    texts = {judged.text, judged.sample.text, *judged.fields.values()}
    assert not texts & {value for value in row.values() if isinstance(value, str)}


def test_opinions_of_other_questions_and_other_judges_do_not_count():
    dataset = make_dataset()
    one = make_completion(dataset=dataset)
    make_judgement(one, scores={"grounding": 0.5}, **asked_as())
    make_judgement(one, scores={"grounding": 0.9}, **asked_as() | {"rubric_version": "another"})
    make_judgement(one, scores={"grounding": 0.9}, **asked_as() | {"teacher": "another"})
    make_judgement(one, scores={"grounding": 0.9}, judge="R")
    frame = snapshot_of(dataset).frame
    assert frame["score:F:grounding"].to_list() == [0.5]
    assert "judge_state:R" not in frame.columns


def test_it_knows_what_stands_in_the_newest_export():
    dataset = make_dataset()
    one, other = (make_completion(dataset=dataset) for _ in range(2))
    for version, held in enumerate((other, one), start=1):
        export = Export.objects.create(
            dataset=dataset,
            version=version,
            policy="gate",
            content_sha256=f"{version}",
            manifest={},
        )
        ExportedCompletion.objects.create(export=export, completion=held)
    frame = snapshot_of(dataset).frame
    assert dict(frame.select("completion_id", "is_exported").iter_rows()) == {
        one.pk: True, other.pk: False,
    }  # fmt: skip


def test_another_recipe_makes_it_stale():
    dataset = make_dataset()
    make_completion(dataset=dataset)
    snapshot = snapshot_of(dataset)
    make_run(dataset, recipe=make_recipe(name="other"))
    assert snapshot.is_stale


def test_a_rule_that_is_off_is_looked_at_all_the_same():
    dataset = make_dataset()
    cited = make_completion(dataset=dataset, fields={"hypothesis": "See [12].", "methodology": "x"})
    row = snapshot_of(dataset).frame.filter(completion_id=cited.pk).to_dicts()[0]
    assert row["citation"] is True


def test_it_knows_when_something_came_after_it():
    dataset = make_dataset()
    one = make_completion(dataset=dataset)
    snapshot = snapshot_of(dataset)
    assert not snapshot.is_stale
    make_judgement(one)
    assert snapshot.is_stale
    assert not snapshot_of(dataset).is_stale


def test_it_is_read_once_and_again_when_taken_anew():
    dataset = make_dataset()
    first = snapshot_of(dataset)
    assert load_snapshot(dataset) is first
    make_completion(dataset=dataset)
    assert len(snapshot_of(dataset).frame) == 1


def test_its_file_is_named_by_nothing_that_a_user_chose():
    dataset = make_dataset("../../etc/passwd")
    assert snapshot_path(dataset).name == f"{dataset.pk}.parquet"


def test_many_batches_make_one_frame(monkeypatch):
    monkeypatch.setattr("distill.services.snapshots._BATCH", 2)
    dataset = make_dataset()
    recipe = make_recipe(judges=[{"name": "J1"}, {"name": "J3"}])
    make_run(dataset, recipe=recipe)
    for number in range(5):
        one = make_completion(dataset=dataset)
        if number % 2:
            asked = asked_as(recipe.content, f"J{number}")
            make_judgement(one, scores={"grounding": 0.5}, **asked)
    frame = snapshot_of(dataset).frame
    assert len(frame) == 5
    assert frame["score:J1:grounding"].null_count() == 4


def test_the_snapshot_costs_the_same_queries_for_more_rows(django_assert_num_queries):
    dataset = make_dataset()
    for _ in range(3):
        make_judgement(make_completion(dataset=dataset))
    with django_assert_num_queries(11):
        take_snapshot(dataset=dataset)
