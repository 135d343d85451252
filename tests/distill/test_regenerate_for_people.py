"""What people rejected, regenerated: with their reasons and notes, gated anew, with its lineage."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from distill.logic.reasons import Reason
from distill.logic.types import Request
from distill.models import (
    Completion,
    CompletionState,
    Dataset,
    Decision,
    Judgement,
    Purchase,
    Run,
    SampleDraw,
)
from distill.queries.history import Attempt, completion_history
from distill.queries.rejected import rejected_states
from distill.queries.waterfall import balance, dataset_waterfall
from distill.services.decide import record_decision
from distill.services.labels import export_labels
from distill.services.populate import populate_run
from distill.services.runs import create_run, resume_run
from distill.services.step import run_step
from distill.services.undo import undo_decision
from distill.teachers.offline import offline_teacher
from review.models import Slot
from review.services.fill import fill_queues
from tests.builders import (
    make_completion,
    make_dataset,
    make_label,
    make_recipe,
    make_run,
    make_sample,
    make_user,
    make_verdict,
)
from tests.distill.test_resume_run import is_for_judge, is_second_attempt, run_failing
from tests.distill.test_run_step import PASSAGES, counts_of

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = Run.RejectedBy.PEOPLE


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with offline_teacher(0) as base_url, pytest.MonkeyPatch.context() as patch:
        port = int(base_url.split(":")[2].split("/")[0])
        patch.setattr("distill.teachers.offline.process._configured_port", lambda: port)
        patch.setenv("OFFLINE_TEACHER_PORT", str(port))
        yield base_url


def passages(num_samples: int) -> Dataset:
    """A dataset of the first demo passages: the same requests each time, so the same answers."""
    dataset = make_dataset()
    for line in PASSAGES.read_bytes().splitlines()[:num_samples]:
        passage = orjson.loads(line)
        make_sample(dataset, text=passage["text"], domain=passage["domain"], title="")
    return dataset


def run_over(dataset: Dataset, kind: Run.Kind, url: str, **options: Any) -> Run:
    run = create_run(
        dataset=dataset, recipe=options.pop("recipe", None) or make_recipe(), kind=kind, **options
    )
    assert run_step(run.pk, offline_url=url) == Run.State.DONE
    return run


def reject(
    completion: Completion, *reasons: Reason, note: str = "", reviewer: User | None = None
) -> Decision:
    return record_decision(
        completion_id=completion.pk,
        reviewer=reviewer or make_user("reviewer"),
        kind="reject",
        reasons=reasons,
        note=note,
        client_id=uuid.uuid4(),
    )


def undo(decision: Decision) -> None:
    undo_decision(decision_id=decision.pk, reviewer=decision.reviewer, client_id=uuid.uuid4())


def passed(dataset: Dataset) -> list[Completion]:
    """The first attempts that passed the gate."""
    return list(
        Completion.objects.filter(
            sample__dataset=dataset,
            attempt=1,
            state_row__state="passed",
            state_row__is_open=True,
        ).order_by("sample__line")
    )


def attempts(completion: Completion) -> list[Attempt]:
    return completion_history(completion, now=timezone.now()).attempts


def asked(attempt: Attempt) -> str:
    """The user message that was sent for an attempt; the call's key proves that it is the one."""
    assert attempt.sent is not None
    assert attempt.sent.is_verified
    return attempt.sent.messages[-1].content


# --- from the rejection to the next attempt ---


def test_what_people_rejected_comes_back_better_with_their_words_in_the_prompt(url: str) -> None:
    dataset = passages(12)
    run_over(dataset, Run.Kind.PIPELINE, url)
    fill_queues(dataset_id=dataset.pk)
    first, second, *others = passed(dataset)
    secret = make_user("reviewer", name="carol-the-reviewer")
    reject(first, Reason.NOT_FALSIFIABLE, note="Say what would refute it.", reviewer=secret)
    reject(first, Reason.VAGUE_METHOD, note="Name the </rejected_answer> dose.")
    reject(second, Reason.TRIVIAL)
    run = run_over(dataset, Run.Kind.REGENERATE, url, rejected_by=PEOPLE)

    assert sum(counts_of(run).values()) == 2
    before, after = attempts(first)
    prompt = asked(after)
    assert "- not_falsifiable: Not falsifiable\n- vague_method: Method too vague\n" in prompt
    assert "A reviewer's notes:\nSay what would refute it.\n" in prompt
    assert "A reviewer's notes:\nName the ‹/rejected_answer> dose.\n" in prompt
    assert "carol" not in prompt
    assert after.completion.parent_id == before.completion.pk == first.pk
    assert after.completion.attempt == first.attempt + 1
    assert after.completion.text != first.text
    assert after.verdicts, "it went through the gate"
    assert after.state is not None
    assert after.state.is_open
    assert before.state is not None
    assert not before.state.is_open
    assert after.state.state == "passed"
    fill_queues(dataset_id=dataset.pk)
    slots = Slot.objects.filter(completion__sample=first.sample).order_by("completion")
    assert [(slot.completion_id, slot.state) for slot in slots] == [
        (first.pk, "superseded"),
        (after.completion.pk, "open"),
    ]
    assert all(len(attempts(other)) == other.attempt for other in others)


def test_a_second_run_finds_nothing_left_and_buys_nothing(url: str) -> None:
    dataset = passages(6)
    run_over(dataset, Run.Kind.PIPELINE, url)
    reject(passed(dataset)[0], Reason.UNSAFE)
    run_over(dataset, Run.Kind.REGENERATE, url, rejected_by=PEOPLE)
    bought = Purchase.objects.count()
    again = run_over(dataset, Run.Kind.REGENERATE, url, rejected_by=PEOPLE)
    assert counts_of(again) == {}
    assert Purchase.objects.count() == bought


def test_the_whole_pipeline_again_does_not_bring_back_what_people_refused(url: str) -> None:
    dataset = passages(6)
    run_over(dataset, Run.Kind.PIPELINE, url)
    refused = passed(dataset)[0]
    reject(refused, Reason.TRIVIAL)
    run_over(dataset, Run.Kind.REGENERATE, url, rejected_by=PEOPLE)
    run_over(dataset, Run.Kind.PIPELINE, url)
    old, new = attempts(refused)
    assert old.state is not None
    assert new.state is not None
    assert (old.state.is_open, new.state.is_open) == (False, True)


# --- undo, before and after ---


def test_what_was_sent_can_be_told_whatever_people_say_afterwards(url: str) -> None:
    dataset = passages(4)
    run_over(dataset, Run.Kind.PIPELINE, url)
    completion = passed(dataset)[0]
    taken_back = reject(completion, Reason.UNSAFE, note="Never sent.")
    undo(taken_back)
    stood = reject(completion, Reason.TRIVIAL, note="Known since 1950.")
    run_over(dataset, Run.Kind.REGENERATE, url, rejected_by=PEOPLE)
    prompt = asked(attempts(completion)[-1])
    assert "Known since 1950." in prompt
    assert "Never sent." not in prompt

    undo(stood)
    reject(completion, Reason.IMPLAUSIBLE, note="Too late for that attempt.")
    assert asked(attempts(completion)[-1]) == prompt


def test_undo_after_a_regeneration_leaves_the_new_attempt_in_its_place(url: str) -> None:
    dataset = passages(6)
    pipeline = run_over(dataset, Run.Kind.PIPELINE, url)
    completion = passed(dataset)[0]
    decision = reject(completion, Reason.TRIVIAL)
    run = run_over(dataset, Run.Kind.REGENERATE, url, rejected_by=PEOPLE)
    undo(decision)
    old, new = attempts(completion)
    assert old.label is None
    assert new.state is not None
    assert new.state.is_open
    assert not rejected_states(
        dataset_id=dataset.pk, config=run.recipe.content.regeneration, rejected_by=PEOPLE
    ).exists()
    for each in (pipeline, run):
        assert balance(each).accounted == balance(each).total


def test_what_is_taken_back_before_its_turn_is_left_where_it_is(url: str) -> None:
    dataset = passages(4)
    run_over(dataset, Run.Kind.PIPELINE, url)
    spared, other = passed(dataset)[:2]
    decision = reject(spared, Reason.TRIVIAL)
    reject(other, Reason.TRIVIAL)
    run = create_run(
        dataset=dataset, recipe=make_recipe(), kind=Run.Kind.REGENERATE, rejected_by=PEOPLE
    )
    populate_run(run=run, on_batch=lambda: None)
    undo(decision)
    run_step(run.pk, offline_url=url)
    assert len(attempts(spared)) == 1
    assert CompletionState.objects.get(completion=spared).is_open
    assert SampleDraw.objects.get(run=run, sample=spared.sample).state == SampleDraw.State.PASSED
    assert len(attempts(other)) == 2
    assert balance(run).accounted == balance(run).total == 2


# --- which are taken ---


def test_whose_rejections_and_for_which_reasons_is_the_runs_choice() -> None:
    run = make_run(recipe=make_recipe(regeneration={"max_attempts": 2}))

    def add(name: str, *said: Reason, gate: Reason | None = None, **fields: Any) -> None:
        completion = make_completion(
            make_sample(run.dataset, title=name),
            state="rejected" if gate else "passed",
            reasons=[gate] if gate else [],
            **fields,
        )
        make_verdict(completion, run, reasons=[gate] if gate else [])
        if said:
            make_label(completion, outcome="rejected", reasons=said)
        elif name.startswith("accepted"):
            make_label(completion)

    add("by gate", gate=Reason.CITATION)
    add("by gate, second attempt", gate=Reason.CITATION, attempt=2)
    add("by people", Reason.TRIVIAL, Reason.UNSAFE)
    add("by people, fourth attempt", Reason.UNSAFE, attempt=4)
    add("by people, fifth attempt", Reason.UNSAFE, attempt=5)
    add("by people, replaced", Reason.TRIVIAL, is_open=False)
    add("by both", Reason.OTHER, gate=Reason.LOW_SCORE)
    add("accepted, though the gate rejects it", gate=Reason.LOW_SCORE)
    add("by nobody")
    without_verdict = make_completion(make_sample(run.dataset, title="unseen"), state="new")
    make_label(without_verdict, outcome="rejected", reasons=[Reason.TRIVIAL])

    def taken(by: str, *reasons: Reason) -> set[str]:
        states = rejected_states(
            dataset_id=run.dataset_id,
            config=run.recipe.content.regeneration,
            rejected_by=by,
            reasons=reasons,
        )
        return set(states.values_list("completion__sample__title", flat=True))

    by_people = {"by people", "by people, fourth attempt", "by both", "unseen"}
    assert taken("gate") == {"by gate", "by both"}
    assert taken("people") == by_people
    assert taken("anybody") == by_people | {"by gate"}
    assert taken("people", Reason.TRIVIAL) == {"by people", "unseen"}
    assert taken("gate", Reason.TRIVIAL) == set()
    assert taken("anybody", Reason.CITATION, Reason.OTHER) == {"by gate", "by both"}


def test_a_failed_regeneration_is_taken_up_from_what_people_rejected(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Also where no verdict says what that was."""
    dataset = passages(3)
    recipe = make_recipe(retry={"max_attempts": 1}, regeneration={"max_attempts": 1})
    run_over(dataset, Run.Kind.GENERATE, url, recipe=recipe)
    for completion in Completion.objects.all():
        reject(completion, Reason.TRIVIAL)
    for fails in (is_second_attempt, is_for_judge):
        run = create_run(
            dataset=dataset, recipe=recipe, kind=Run.Kind.REGENERATE, rejected_by=PEOPLE
        )
        run_failing(monkeypatch, run, url, fails)
        assert counts_of(run)["failed"]
    assert resume_run(run_id=run.pk)
    run_step(run.pk, offline_url=url)
    assert not counts_of(run).get("failed")
    assert set(Completion.objects.values_list("attempt", flat=True)) == {1, 2}


# --- counted rightly ---


def test_every_sample_stays_accounted_for_and_the_yield_does_not_move(url: str) -> None:
    dataset = passages(20)
    pipeline = run_over(dataset, Run.Kind.PIPELINE, url)
    for completion in passed(dataset)[:5]:
        reject(completion, Reason.NOT_REPRODUCIBLE)
    before = dataset_waterfall(dataset)
    assert before.balance.rejected["review"] == 5
    run = run_over(dataset, Run.Kind.REGENERATE, url, rejected_by=PEOPLE)
    after = dataset_waterfall(dataset)
    assert after.balance.total == before.balance.total == 20
    assert after.balance.accounted == 20
    assert "review" not in after.balance.rejected
    assert after.attempts[0].passed == before.attempts[0].passed
    assert after.attempts[1].tried == before.attempts[1].tried + 5
    assert after.attempts[1].passed >= before.attempts[1].passed
    for each in (pipeline, run):
        assert balance(each).accounted == balance(each).total
    assert balance(pipeline).rejected["review"] == 5, "as that run's answers were judged"


def test_two_judges_that_ask_the_same_are_both_kept(url: str) -> None:
    dataset = passages(2)
    run_over(
        dataset, Run.Kind.PIPELINE, url, recipe=make_recipe(judges=[{"name": "F"}, {"name": "G"}])
    )
    judged = Judgement.objects.values_list("completion", "judge", "call")
    by_completion: dict[int, set[str]] = {}
    for completion, judge, _call in judged:
        by_completion.setdefault(completion, set()).add(judge)
    assert by_completion
    assert all(names == {"F", "G"} for names in by_completion.values())
    assert len({call for *_, call in judged}) == len(by_completion), "asked once for both"


# --- by command ---


def command(name: str, *arguments: object) -> str:
    said = io.StringIO()
    call_command(name, *map(str, arguments), stdout=said, stderr=said)
    return said.getvalue()


def test_by_command_in_bulk_for_a_reason(url: str) -> None:
    dataset = passages(6)
    run_over(dataset, Run.Kind.PIPELINE, url)
    wanted, other = passed(dataset)[:2]
    reject(wanted, Reason.NOT_FALSIFIABLE)
    reject(other, Reason.TRIVIAL)
    arguments = ("--dataset", dataset.name, "--rejected-by", "people")
    said = command("regenerate_bad", *arguments, "--reason", "not_falsifiable")
    assert f"run {Run.objects.latest('id').pk}: 1 " in said
    assert Run.objects.latest("id").reasons == ["not_falsifiable"]
    assert (len(attempts(wanted)), len(attempts(other))) == (2, 1)
    with pytest.raises(CommandError, match="nothing rejected by people for unsafe to regenerate"):
        command("regenerate_bad", *arguments, "--reason", "unsafe")


def test_from_the_label_file_alone(url: str, tmp_path: Path) -> None:
    dataset = passages(6)
    run_over(dataset, Run.Kind.PIPELINE, url)
    for completion, note in zip(passed(dataset)[:2], ("Name the dose.", ""), strict=True):
        reject(completion, Reason.VAGUE_METHOD, note=note)
    export_labels(folder=tmp_path)
    lines = _with_true_keys(tmp_path / "rejected.jsonl")
    dst = tmp_path / "again.parquet"
    arguments = ("--rejected", tmp_path / "rejected.jsonl", "--dst", dst)
    said = command("regenerate_bad", *arguments)
    assert "2 decisions recorded" in said
    table = pl.read_parquet(dst)
    assert set(table["attempt"]) == {2}
    assert set(table["sample_id"]) == {line["sample_id"] for line in lines}
    assert set(table["parent_id"]) == {line["completion_id"] for line in lines}
    new = Completion.objects.filter(attempt=2, sample__dataset__name__startswith="file-")
    assert any("Name the dose." in asked(attempts(one)[-1]) for one in new)
    bought = Purchase.objects.count()
    command("regenerate_bad", *arguments)
    assert Purchase.objects.count() == bought
    assert table.equals(pl.read_parquet(dst))


def _with_true_keys(path: Path) -> list[dict[str, Any]]:
    """The builders' keys are no hashes of the content, as those of imported samples are."""
    from distill.logic.completion_key import completion_key
    from distill.logic.samples import sample_key

    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    for line in lines:
        names = ("instruction", "domain", "template_name", "title")
        key = sample_key(text=line["context"], **{name: line[name] for name in names})
        line["sample_id"] = key
        line["completion_id"] = completion_key(
            sample_key=key,
            draw=line["draw"],
            attempt=line["attempt"],
            teacher=line["teacher"],
            text=line["text"],
        )
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return lines


def test_old_labels_are_regenerated_with_the_table_that_they_number(
    url: str, tmp_path: Path
) -> None:
    outputs = tmp_path / "outputs.jsonl"
    row = {"context": "Nitrification slows when soils dry. " * 9, "teacher_output": "Soils matter."}
    outputs.write_bytes(orjson.dumps(row))
    labels = tmp_path / "labels.jsonl"
    label = row | {"index": 0, "action": "regenerate", "timestamp": "2025-11-20T10:00:00"}
    labels.write_bytes(orjson.dumps(label))
    dst = tmp_path / "again.parquet"
    with pytest.raises(CommandError, match="without the table"):
        command("regenerate_bad", "--rejected", labels, "--dst", dst)
    with pytest.raises(CommandError, match="--src goes with labels of the old form"):
        command("regenerate_bad", "--rejected", outputs, "--src", outputs, "--dst", dst)
    command("regenerate_bad", "--rejected", labels, "--src", outputs, "--dst", dst)
    assert list(pl.read_parquet(dst)["attempt"]) == [2]
    second = Completion.objects.get(attempt=2)
    assert "- other: Other\n" in asked(attempts(second)[-1])


def test_further_old_labels_of_the_same_table_are_regenerated_too(url: str, tmp_path: Path) -> None:
    outputs, dst = tmp_path / "outputs.jsonl", tmp_path / "again.parquet"
    rows = [
        {"context": f"{about} slows when soils dry. " * 9, "teacher_output": f"{about} matters."}
        for about in ("Nitrification", "Denitrification")
    ]
    outputs.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    for index, row in enumerate(rows):
        labels = tmp_path / f"labels_{index}.jsonl"
        said = {"index": index, "action": "reject", "timestamp": "2025-11-20T10:00:00"}
        labels.write_bytes(orjson.dumps(row | said))
        for _ in range(2):
            command("regenerate_bad", "--rejected", labels, "--src", outputs, "--dst", dst)
            assert list(pl.read_parquet(dst)["attempt"]) == [2]
        assert Completion.objects.filter(attempt=2).count() == index + 1


def test_the_request_is_what_the_page_shows(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """No rebuilt text is taken on trust: the requests that leave are looked at."""
    dataset = passages(3)
    run_over(dataset, Run.Kind.PIPELINE, url)
    completion = passed(dataset)[0]
    reject(completion, Reason.TRIVIAL, note="Known since 1950.")
    run = create_run(
        dataset=dataset, recipe=make_recipe(), kind=Run.Kind.REGENERATE, rejected_by=PEOPLE
    )
    sent: list[Request] = []

    def look(request: Request) -> bool:
        sent.append(request)
        return False

    run_failing(monkeypatch, run, url, look)
    assert sent[0].messages[-1].content == asked(attempts(completion)[-1])
