"""A dataset's snapshot holds what the gate would need, and nothing of the texts."""

from __future__ import annotations

import pytest

from distill.logic.gate import GateConfig
from distill.logic.rules import RulesConfig
from distill.logic.what_if import Settings, evaluate
from distill.models import Judgement
from distill.queries.snapshot import load_snapshot, snapshot_path
from distill.services.snapshots import take_snapshot
from tests.builders import make_completion, make_dataset, make_judgement, make_label

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
    assert evaluate(load_snapshot(dataset).frame, Settings(RulesConfig(), GateConfig())).total == 0


def test_it_holds_a_row_for_each_completion_and_no_text():
    dataset = make_dataset()
    judged, bare = make_completion(dataset=dataset), make_completion(dataset=dataset)
    make_completion()  # another dataset's
    make_judgement(judged, judge="F", scores={"grounding": 0.5})
    make_judgement(judged, judge="F", scores={"grounding": 0.75}, flags=["safety_x"])
    Judgement.objects.create(
        completion=judged, judge="R", teacher="t", rubric_version="1", error="no JSON object"
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
    for number in range(5):
        one = make_completion(dataset=dataset)
        if number % 2:
            make_judgement(one, judge=f"J{number}", scores={"grounding": 0.5})
    frame = snapshot_of(dataset).frame
    assert len(frame) == 5
    assert frame["score:J1:grounding"].null_count() == 4


def test_the_snapshot_costs_the_same_queries_for_more_rows(django_assert_num_queries):
    dataset = make_dataset()
    for _ in range(3):
        make_judgement(make_completion(dataset=dataset))
    with django_assert_num_queries(8):
        take_snapshot(dataset=dataset)
