"""Labels out and in: what people decided survives the way through files."""

from __future__ import annotations

import io
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from distill.logic.errors import InputError
from distill.logic.reasons import Reason
from distill.models import Completion, CompletionState, Dataset, Decision, Label, Sample
from distill.queries.label_lines import pseudonym
from distill.services.decide import record_decision
from distill.services.ingest import create_dataset, import_file
from distill.services.labels import export_labels, import_labels, labels_folder
from distill.services.undo import undo_decision
from tests.builders import PAIR, make_completion, make_dataset, make_user

pytestmark = pytest.mark.django_db

NUM_ANSWERS = 6


def passages(num: int = NUM_ANSWERS) -> list[dict[str, object]]:
    return [
        {
            "context": f"Passage {number}. Nitrification slows when soils dry.",
            "domain": "soil science",
            "title": f"Part {number}",
            "source_id": f"doi-{number}",
            "teacher_output": orjson.dumps(PAIR | {"methodology": f"Step {number}."}).decode(),
            "model_id": "offline:extractive",
        }
        for number in range(num)
    ]


def write_lines(path: Path, lines: list[Any]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "answers.jsonl", passages())


@pytest.fixture
def dataset(answers: Path) -> Dataset:
    """A dataset of answers that a file brought, so that all keys are true ones."""
    dataset = create_dataset(name="soils")
    import_file(dataset=dataset, path=answers, name=answers.name)
    return dataset


def completions_of(dataset: Dataset) -> list[Completion]:
    return list(Completion.objects.filter(sample__dataset=dataset).order_by("sample__line"))


def decide(
    completion: Completion, kind: str, *reasons: Reason, reviewer: User | None = None, **more: Any
) -> Decision:
    return record_decision(
        completion_id=completion.pk,
        reviewer=reviewer or make_user("reviewer"),
        kind=kind,
        reasons=reasons,
        client_id=uuid.uuid4(),
        **more,
    )


def labels_of(dataset: Dataset) -> set[tuple[object, ...]]:
    """Every label of a dataset with what it rests on, told by what is the same everywhere."""
    found = Label.objects.filter(completion__sample__dataset=dataset).select_related(
        "completion__sample", "decision__reviewer"
    )
    return {
        (
            label.completion.sample.key,
            label.completion.key,
            label.outcome,
            label.basis,
            *label.decision.reasons,
            label.decision.note,
            pseudonym(label.decision.reviewer),
            label.decision.created_at,
        )
        for label in found
    }


def command(name: str, *arguments: object) -> str:
    said = io.StringIO()
    call_command(name, *map(str, arguments), stdout=said, stderr=said)
    return said.getvalue()


# --- out ---


def test_the_files_hold_the_labels_as_they_stand_and_name_nobody(dataset: Dataset) -> None:
    alice = make_user("reviewer", name="alice")
    first, second, third, fourth, *_ = completions_of(dataset)
    decide(first, "accept", reviewer=alice)
    decide(second, "reject", Reason.NOT_FALSIFIABLE, reviewer=alice, note="What would refute it?")
    taken_back = decide(third, "reject", Reason.OTHER, reviewer=alice)
    undo_decision(decision_id=taken_back.pk, reviewer=alice, client_id=uuid.uuid4())
    decide(fourth, "skip", reviewer=alice)

    export_labels()
    folder = labels_folder()
    today = f"{datetime.now(UTC).date().isoformat()}.jsonl"
    assert {path.name for path in folder.iterdir()} == {"accepted.jsonl", "rejected.jsonl", today}
    assert [line["completion_id"] for line in read_lines(folder / "accepted.jsonl")] == [first.key]
    (line,) = read_lines(folder / "rejected.jsonl")
    assert line["sample_id"] == second.sample.key
    assert line["context"] == second.sample.text
    assert line["text"] == second.text
    assert second.sample.text in line["prompt"]
    assert line["prompt"].startswith("Propose one new hypothesis")
    assert (line["decision"], line["reasons"]) == ("reject", ["not_falsifiable"])
    assert (line["note"], line["basis"]) == ("What would refute it?", "single")
    assert line["reviewer"] == pseudonym(alice)
    assert "alice" not in (folder / "rejected.jsonl").read_text()
    assert len(read_lines(folder / today)) == 2, "what was undone or skipped is no label"


def test_the_same_decisions_give_the_same_bytes_and_a_day_without_any_goes(
    dataset: Dataset,
) -> None:
    first, second, *_ = completions_of(dataset)
    alice = make_user("reviewer")
    decide(first, "accept", reviewer=alice)
    old = Decision.objects.create(
        completion=second,
        reviewer=alice,
        kind="accept",
        created_at=datetime(2026, 1, 31, 23, 59, tzinfo=UTC),
    )
    export_labels(dataset=dataset)
    folder = labels_folder(dataset)
    assert folder.name == "soils"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "2026-01-31.jsonl" in before
    export_labels(dataset=dataset)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    undo_decision(decision_id=old.pk, reviewer=alice, client_id=uuid.uuid4())
    export_labels(dataset=dataset)
    assert not (folder / "2026-01-31.jsonl").exists()


def test_what_a_later_attempt_has_replaced_is_not_to_be_regenerated_again() -> None:
    rejected = make_completion(is_open=False)
    decide(rejected, "reject", Reason.TRIVIAL)
    files = {file.path.name: file.num_lines for file in export_labels()}
    assert files["rejected.jsonl"] == 0
    assert sum(files.values()) == 1, "the file of the day keeps the decision"


def test_old_labels_in_the_folder_are_neither_overwritten_nor_removed(dataset: Dataset) -> None:
    folder = labels_folder()
    folder.mkdir(parents=True)
    old = folder / "2025-11-20.jsonl"
    old.write_text('{"index": 0, "action": "accept"}\n')
    with pytest.raises(InputError, match=r"2025-11-20\.jsonl in labels was not written by this"):
        export_labels()
    assert [path.name for path in folder.iterdir()] == ["2025-11-20.jsonl"]


def test_a_students_answers_are_no_labels_of_the_dataset() -> None:
    completion = make_completion()
    CompletionState.objects.filter(completion=completion).update(dataset=None)
    decide(completion, "accept")
    assert sum(file.num_lines for file in export_labels()) == 0


# --- in: our own lines ---


def test_labels_come_back_as_they_were_without_a_second_file(
    dataset: Dataset, tmp_path: Path
) -> None:
    one, two, three, four, five, *_ = completions_of(dataset)
    edited = five.fields | {"hypothesis": "Nitrification halves when soils dry."}
    alice, bob = make_user("reviewer"), make_user("reviewer")
    decide(one, "accept", reviewer=alice)
    decide(two, "reject", Reason.UNSAFE, Reason.TRIVIAL, reviewer=alice, note=" Tidy?\r\n ")
    for reviewer in (alice, bob):
        decide(three, "reject", Reason.OTHER, reviewer=reviewer, required_reviews=2)
    decide(four, "accept", reviewer=alice)
    decide(four, "reject", Reason.IMPLAUSIBLE, reviewer=bob)
    decide(four, "accept", reviewer=make_user("lead"), is_adjudication=True)
    decide(five, "edit", reviewer=alice, fields=edited)
    wanted = labels_of(dataset)
    assert {basis for _, _, _, basis, *_ in wanted} == {"single", "unanimous", "adjudicated"}
    export_labels(folder=tmp_path / "out")

    fresh = create_dataset(name="fresh")
    for name in ("accepted.jsonl", "rejected.jsonl"):
        imported = import_labels(dataset=fresh, path=tmp_path / "out" / name)
        assert not imported.refused
    assert labels_of(fresh) == wanted
    (line,) = (line for line in read_lines(tmp_path / "out" / "accepted.jsonl") if line["edited"])
    assert (line["decision"], line["label"], line["edited"]) == ("edit", "accepted", edited)
    came = Decision.objects.filter(completion__sample__dataset=fresh)
    assert came.get(kind="edit").fields == edited
    assert came.count() == 8
    samples = Sample.objects.filter(dataset=fresh).order_by("key")
    content = ("key", "text", "domain", "title", "source_key", "split", "metadata")
    assert list(samples.values_list(*content)) == list(
        Sample.objects.filter(dataset=dataset, key__in=samples.values("key"))
        .order_by("key")
        .values_list(*content)
    )
    names = set(
        Decision.objects.filter(completion__sample__dataset=fresh).values_list(
            "reviewer__username", "reviewer__is_active"
        )
    )
    assert names >= {(pseudonym(alice), False), (pseudonym(bob), False)}
    assert not User.objects.get(username=pseudonym(bob)).has_usable_password()


def test_files_written_from_what_was_imported_are_the_same_again(
    dataset: Dataset, tmp_path: Path
) -> None:
    for number, completion in enumerate(completions_of(dataset)):
        decide(completion, *(("reject", Reason.VAGUE_METHOD) if number % 2 else ("accept",)))
    export_labels(dataset=dataset, folder=tmp_path / "out")
    fresh = create_dataset(name="fresh")
    day = next((tmp_path / "out").glob("2*.jsonl"))
    import_labels(dataset=fresh, path=day)
    export_labels(dataset=fresh, folder=tmp_path / "again")
    for path in (tmp_path / "out").iterdir():
        lines = read_lines(tmp_path / "again" / path.name)
        assert [line | {"dataset": "soils"} for line in lines] == read_lines(path)


def test_importing_twice_or_at_home_changes_nothing(dataset: Dataset, tmp_path: Path) -> None:
    first, second, *_ = completions_of(dataset)
    alice = make_user("reviewer")
    decide(first, "accept", reviewer=alice)
    taken_back = decide(second, "accept", reviewer=alice)
    export_labels(folder=tmp_path / "out")
    undo_decision(decision_id=taken_back.pk, reviewer=alice, client_id=uuid.uuid4())

    before = list(Decision.objects.values_list("id", flat=True))
    imported = import_labels(dataset=dataset, path=tmp_path / "out" / "accepted.jsonl")
    assert (imported.num_recorded, imported.num_known) == (0, 2), "also what was taken back since"
    assert list(Decision.objects.values_list("id", flat=True)) == before
    assert dataset.source_files.count() == 1

    fresh = create_dataset(name="fresh")
    for num_recorded in (2, 0):
        imported = import_labels(dataset=fresh, path=tmp_path / "out" / "accepted.jsonl")
        assert imported.num_recorded == num_recorded
    assert Label.objects.filter(completion__sample__dataset=fresh).count() == 2


def test_the_later_decision_of_the_same_person_counts(dataset: Dataset, tmp_path: Path) -> None:
    completion = completions_of(dataset)[0]
    decide(completion, "accept")
    export_labels(folder=tmp_path / "out")
    (line,) = read_lines(tmp_path / "out" / "accepted.jsonl")
    later = line | {
        "decision": "reject",
        "reasons": ["other"],
        "decided_at": "2031-01-01T00:00:00Z",
    }
    fresh = create_dataset(name="fresh")
    path = write_lines(tmp_path / "both.jsonl", [later, line])
    imported = import_labels(dataset=fresh, path=path)
    assert (imported.num_recorded, imported.num_overruled) == (2, 1)
    assert [outcome for _, _, outcome, *_ in labels_of(fresh)] == ["rejected"]
    assert import_labels(dataset=fresh, path=path).num_known == 2
    older = line | {"decided_at": "2020-01-01T00:00:00Z"}
    imported = import_labels(dataset=fresh, path=write_lines(tmp_path / "older.jsonl", [older]))
    assert (imported.num_recorded, imported.num_overruled) == (0, 1)


def test_nobody_decides_here_under_somebody_elses_name(dataset: Dataset, tmp_path: Path) -> None:
    """Neither for a person whose pseudonym is known, nor in an account that is in use."""
    first, second, *_ = completions_of(dataset)
    alice = make_user("reviewer")
    decide(first, "accept", reviewer=alice)
    export_labels(folder=tmp_path / "out")
    (line,) = read_lines(tmp_path / "out" / "accepted.jsonl")
    forged = line | {
        "decision": "reject",
        "decided_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    }
    imported = import_labels(dataset=dataset, path=write_lines(tmp_path / "forged.jsonl", [forged]))
    assert (imported.num_recorded, imported.num_overruled) == (0, 1)
    make_user("reviewer", name="reviewer-00000000")
    taken = line | {"reviewer": "reviewer-00000000", "completion_id": second.key}
    taken["sample_id"] = second.sample.key
    with pytest.raises(InputError, match="There is an account in use named reviewer-00000000"):
        import_labels(dataset=dataset, path=write_lines(tmp_path / "taken.jsonl", [taken]))
    assert Decision.objects.count() == 1


def test_bad_lines_are_refused_with_number_and_reason_and_the_rest_is_kept(
    dataset: Dataset, tmp_path: Path
) -> None:
    decide(completions_of(dataset)[0], "accept")
    export_labels(folder=tmp_path / "out")
    (line,) = read_lines(tmp_path / "out" / "accepted.jsonl")
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(
        b"\n".join(
            [
                orjson.dumps(line | {"reasons": ["nonsense"]}),
                b"{not json",
                orjson.dumps(line | {"completion_id": "0" * 32}),
                orjson.dumps(line | {"note": "a\0b"}),
                b'{"text": "' + b"x" * (17 * 1024 * 1024) + b'"}',
                b"[1, 2]",
                orjson.dumps(line),
            ]
        )
    )
    fresh = create_dataset(name="fresh")
    said = command("import_labels", "--labels", path, "--dataset", "fresh")
    assert "fresh: 1 decisions recorded, 0 known already, 0 overruled" in said
    for words in (
        "line 1: 'nonsense' is no reason that a reviewer gives",
        "line 2: The line is not whole JSON",
        "line 3: Its completion_id is of another text: was it changed?",
        "line 4: Its note holds NUL characters",
        "line 5: The line is longer than 16 MB",
        "line 6: The line holds a JSON list",
    ):
        assert words in said
    assert Completion.objects.filter(sample__dataset=fresh).count() == 1
    assert len(labels_of(fresh)) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"decision": "edit"}, "Its edited is missing."),
        ({"decision": "edit", "edited": {"hypothesis": " "}}, "leaves 'hypothesis' empty"),
        ({"decision": "edit", "edited": {"hypothesis": "Wet."}}, "each field of the answer"),
        ({"decision": "edit", "edited": {"hypothesis": 7}}, "not a text"),
        ({"edited": {"hypothesis": "Wet."}}, "only an edit has any"),
    ],
)
def test_an_edit_brings_words_for_each_field_of_the_answer(
    dataset: Dataset, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    decide(completions_of(dataset)[0], "accept")
    decide(completions_of(dataset)[1], "accept")
    export_labels(folder=tmp_path / "out")
    good, bad = read_lines(tmp_path / "out" / "accepted.jsonl")
    path = write_lines(tmp_path / "edits.jsonl", [good, bad | changes])
    imported = import_labels(dataset=create_dataset(name="fresh"), path=path)
    assert [problem.line for problem in imported.refused] == [2]
    assert said in imported.refused[0].message
    assert imported.num_recorded == 1


def test_a_file_of_which_nothing_can_be_used_says_why(tmp_path: Path) -> None:
    dataset = make_dataset()
    other = write_lines(tmp_path / "other.jsonl", [{"text": "Soils."}])
    with pytest.raises(InputError, match=r"other\.jsonl is no label file"):
        import_labels(dataset=dataset, path=other)
    with pytest.raises(CommandError, match=r"nowhere\.jsonl does not exist"):
        command("import_labels", "--labels", "nowhere.jsonl")


# --- in: the old page's lines ---


def legacy(index: int, action: str, /, **changes: object) -> dict[str, object]:
    row = passages()[index]
    return {
        "index": index,
        "task_type": "hypothesis",
        "context": row["context"],
        "teacher_output": row["teacher_output"],
        "action": action,
        "timestamp": f"2025-11-20T10:00:{index:02d}",
        **changes,
    }


def test_old_labels_are_taken_in_with_the_table_they_number(answers: Path, tmp_path: Path) -> None:
    labels = write_lines(
        tmp_path / "labels.jsonl",
        [
            legacy(0, "accept"),
            legacy(1, "regenerate"),
            legacy(2, "reject", timestamp="2025-11-20T11:00:00"),
            legacy(2, "accept", timestamp="2025-11-20T11:00:05"),
            legacy(3, "accept", teacher_output="Something else."),
            legacy(3, "accept", context="Something else."),
            legacy(4, "accept", index=40),
            legacy(4, "burn"),
        ],
    )
    said = command("import_labels", "--labels", labels, "--src", answers)
    assert "4 decisions recorded, 0 known already, 1 overruled by a later one, 4 refused" in said
    for words in (
        "line 5: Row 3 of answers.jsonl holds another answer",
        "line 6: Row 3 of answers.jsonl holds another text",
        "line 7: answers.jsonl has no row 40 (counted from 0)",
        "line 8: Its action 'burn' is unknown; known are accept, reject, regenerate",
    ):
        assert words in said
    found = Label.objects.order_by("completion__sample__line").select_related("decision__reviewer")
    assert [(label.outcome, label.basis) for label in found] == [
        ("accepted", "legacy"),
        ("rejected", "legacy"),
        ("accepted", "legacy"),
    ]
    second = found[1].decision
    assert (second.is_legacy, second.judge_seen, second.reasons) == (True, True, ["other"])
    assert second.reviewer.username == "reviewer-legacy"
    assert second.created_at == datetime(2025, 11, 20, 10, 0, 1, tzinfo=UTC)

    assert "0 decisions recorded, 4 known" in command(
        "import_labels", "--labels", labels, "--src", answers
    )
    files = {file.path.name for file in export_labels(folder=tmp_path / "out")}
    assert "2025-11-20.jsonl" in files
    assert read_lines(tmp_path / "out" / "rejected.jsonl")[0]["is_legacy"] is True


def test_old_labels_without_their_table_mean_nothing(dataset: Dataset, tmp_path: Path) -> None:
    labels = write_lines(tmp_path / "labels.jsonl", [legacy(0, "accept")])
    with pytest.raises(CommandError, match=r"Name it: --src filtered\.parquet"):
        command("import_labels", "--labels", labels, "--dataset", "soils")
    assert not Decision.objects.exists()


def test_export_labels_says_what_it_wrote(dataset: Dataset, tmp_path: Path) -> None:
    decide(completions_of(dataset)[0], "accept")
    said = command("export_labels", "--dataset", "soils", "--dst", tmp_path / "out")
    assert f"       1  {tmp_path / 'out' / 'accepted.jsonl'}" in said
    with pytest.raises(CommandError, match="no dataset 'nothing'"):
        command("export_labels", "--dataset", "nothing")
