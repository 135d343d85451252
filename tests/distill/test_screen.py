"""What an export leaves out: copies of prompts and pairs, and held-out text; with its evidence."""

from __future__ import annotations

import random

import pytest

from distill.logic.errors import InputError
from distill.logic.reasons import Reason
from distill.models import (
    CompletionState,
    Dataset,
    Export,
    Sample,
    Screening,
    ScreeningFinding,
)
from distill.queries.eligible import eligible_ids
from distill.services.export import export_dataset
from distill.services.screen import screen
from tests.builders import (
    make_completion,
    make_dataset,
    make_label,
    make_recipe,
    make_run,
    make_sample,
)

pytestmark = pytest.mark.django_db
GATE = Export.Policy.GATE


def passage(seed: int, *, words: int = 120) -> str:
    """Words that no other seed's passage has in this order."""
    rng = random.Random(seed)
    return " ".join(f"w{rng.randrange(5_000)}" for _ in range(words))


def changed(text: str, at: int = 60) -> str:
    """A near-copy: another word in the middle."""
    words = text.split()
    words[at] = "otherwise"
    return " ".join(words)


def make_answer(number: int, **fields: object) -> dict[str, str]:
    return {"hypothesis": passage(1_000 + number), "methodology": passage(2_000 + number)}


def add(dataset: Dataset, text: str, *, answer: int, split: str = "train", **completion):
    sample = make_sample(dataset, text=text, split=split, title="")
    return make_completion(sample, fields=make_answer(answer), **completion)


def search(dataset: Dataset, **more):
    ids = eligible_ids(dataset=dataset, policy=GATE)
    return screen(dataset=dataset, policy=GATE, ids=ids, **more)


def findings(screened) -> list[ScreeningFinding]:
    return list(screened.screening.findings.order_by("pk"))


def configure(dataset: Dataset, **screening: object) -> None:
    make_run(dataset, recipe=make_recipe(screening=screening))


def test_of_two_copies_of_a_prompt_the_better_one_stays():
    dataset = make_dataset()
    worse = add(dataset, passage(1), answer=1, mean_score=0.81)
    better = add(dataset, changed(passage(1)), answer=2, mean_score=0.9)
    other = add(dataset, passage(2), answer=3)
    screened = search(dataset)
    assert set(screened.kept) == {better.pk, other.pk}
    (found,) = findings(screened)
    assert (found.completion, found.other, found.reason) == (worse, better, "duplicate_prompt")
    assert found.is_dropped
    assert 0.8 <= found.similarity < 1
    assert found.matched_text in passage(1)
    assert len(found.matched_text.split()) == 40


def test_what_a_person_accepted_stays_whatever_the_score():
    dataset = make_dataset()
    accepted = add(dataset, passage(1), answer=1, mean_score=0.81)
    make_label(accepted)
    add(dataset, passage(1) + ".", answer=2, mean_score=0.99)
    assert list(search(dataset).kept) == [accepted.pk]


def test_another_question_about_the_same_passage_is_no_copy():
    dataset = make_dataset()
    for instruction in ("What is measured?", "Which control is missing?"):
        sample = make_sample(dataset, text=passage(1), instruction=instruction)
        make_completion(sample, fields=make_answer(len(instruction)))
    assert len(search(dataset).kept) == 2


def test_another_template_asks_another_question():
    dataset = make_dataset()
    for number, template in enumerate(("pair", "hypothesis")):
        add(dataset, passage(1), answer=number, template_name=template)
    assert len(search(dataset).kept) == 2


def test_all_draws_of_the_best_sample_stay_and_all_of_its_copy_go():
    dataset = make_dataset()
    best, copy = (make_sample(dataset, text=passage(1)) for _ in range(2))
    for draw in range(3):
        make_completion(best, draw=draw, fields=make_answer(draw), mean_score=0.95 - draw / 10)
        make_completion(copy, draw=draw, fields=make_answer(draw + 5), mean_score=0.9)
    screened = search(dataset)
    assert {found.other.sample for found in findings(screened)} == {best}
    assert {found.completion.sample for found in findings(screened)} == {copy}
    assert len(screened.kept) == 3


def test_draws_with_the_same_answer_are_one_pair():
    dataset = make_dataset()
    sample = make_sample(dataset, text=passage(1))
    first = make_completion(sample, draw=0, fields=make_answer(1), mean_score=0.9)
    again = make_completion(sample, draw=1, fields=make_answer(1), mean_score=0.85)
    other = make_completion(sample, draw=2, fields=make_answer(2), mean_score=0.82)
    screened = search(dataset)
    assert set(screened.kept) == {first.pk, other.pk}
    (found,) = findings(screened)
    assert (found.completion, found.other) == (again, first)
    assert (found.reason, found.similarity) == (Reason.DUPLICATE_PAIR, 1.0)


def test_the_same_answer_to_another_prompt_is_no_copy():
    dataset = make_dataset()
    add(dataset, passage(1), answer=1)
    add(dataset, passage(2), answer=1)
    assert len(search(dataset).kept) == 2


def test_without_the_search_for_prompts_their_pairs_are_still_found():
    dataset = make_dataset()
    configure(dataset, duplicate_prompts=False)
    for answer in (1, 1, 2):
        add(dataset, passage(1), answer=answer)
    screened = search(dataset)
    assert len(screened.kept) == 2
    assert [one.reason for one in findings(screened)] == [Reason.DUPLICATE_PAIR]


def test_near_copies_can_be_noted_only():
    dataset = make_dataset()
    configure(dataset, max_similarity=0.99, flag_above=0.8)
    add(dataset, passage(1), answer=1)
    add(dataset, changed(passage(1)), answer=2)
    screened = search(dataset)
    assert len(screened.kept) == 2
    assert [one.is_dropped for one in findings(screened)] == [False]
    assert screened.screening.counts["flagged"] == {"duplicate_prompt": 1}


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_training_passage_that_is_nearly_a_held_out_one_is_dropped(split):
    dataset = make_dataset()
    # The sample alone is enough: it is evaluated on, whatever was answered.
    make_sample(dataset, text=passage(1), split=split)
    leaked = add(dataset, changed(passage(1)), answer=1)
    clean = add(dataset, passage(2), answer=2)
    screened = search(dataset)
    assert list(screened.kept) == [clean.pk]
    (found,) = findings(screened)
    assert (found.completion, found.reason) == (leaked, Reason.CONTAMINATED)
    assert found.held_out == f"{split} split"
    assert found.matched_text in passage(1)


def test_a_short_phrase_in_common_is_noted_only():
    dataset = make_dataset()
    phrase = " ".join(f"phrase{number}" for number in range(9))
    make_sample(dataset, text=f"{passage(1)} {phrase} {passage(2)}", split=Sample.Split.TEST)
    kept = add(dataset, f"{passage(3)} {phrase} {passage(4)}", answer=1)
    screened = search(dataset)
    assert list(screened.kept) == [kept.pk]
    (found,) = findings(screened)
    assert (found.is_dropped, found.matched_text) == (False, phrase)


def test_an_answer_that_quotes_a_held_out_passage_is_dropped_its_phrases_are_not():
    dataset = make_dataset()
    held_out = add(dataset, passage(1), answer=1, split="test")
    same_phrases = add(dataset, passage(2), answer=1)
    sample = make_sample(dataset, text=passage(3))
    make_completion(sample, fields={"hypothesis": passage(1), "methodology": passage(9)})
    assert set(search(dataset).kept) == {held_out.pk, same_phrases.pk}


def test_of_copies_on_both_sides_the_held_out_one_stays_however_short():
    dataset = make_dataset()
    add(dataset, "ice melts when it is warm", answer=1, mean_score=0.99)
    held_out = add(dataset, "Ice melts, when it is warm", answer=2, split="test")
    assert list(search(dataset).kept) == [held_out.pk]


def test_files_of_the_operator_are_held_out_too(data_dir, tmp_path):
    dataset = make_dataset()
    for number in (1, 2, 3):
        add(dataset, passage(number), answer=number)
    folder = data_dir / "decontamination"
    folder.mkdir(parents=True)
    (folder / "benchmark.jsonl").write_text(f'{{"q": {{"text": ["{passage(1)}"]}}}}\n')
    (folder / "notes.pdf").write_text(passage(3))
    own = tmp_path / "exam.md"
    own.write_text(f"# Exam\n\n{passage(2)}")
    screened = search(dataset, against=[own])
    assert len(screened.kept) == 1
    assert {one.held_out for one in findings(screened)} == {"benchmark.jsonl", "exam.md"}
    assert [file["name"] for file in screened.screening.settings["files"]] == [
        "benchmark.jsonl",
        "exam.md",
    ]


def test_a_file_that_cannot_be_read_stops_the_search(data_dir, tmp_path):
    dataset = make_dataset()
    add(dataset, passage(1), answer=1)
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{no json}\n")
    with pytest.raises(InputError, match=r"broken\.jsonl, 1"):
        search(dataset, against=[broken])
    with pytest.raises(InputError, match="no file"):
        search(dataset, against=[tmp_path / "gone.txt"])


def test_searching_again_writes_nothing():
    dataset = make_dataset()
    for number in (1, 1, 2):
        add(dataset, passage(number), answer=number)
    first = search(dataset)
    again = screen(dataset=dataset, policy=GATE, ids=list(first.kept))
    assert again.screening != first.screening, "other completions, another screening"
    assert search(dataset).screening == first.screening
    assert Screening.objects.count() == 2


def test_the_order_of_the_completions_does_not_matter():
    dataset = make_dataset()
    for number in (1, 2, 1, 3, 2, 1):
        add(dataset, passage(number), answer=number)
    ids = list(eligible_ids(dataset=dataset, policy=GATE))
    first = screen(dataset=dataset, policy=GATE, ids=ids)
    for seed in range(3):
        random.Random(seed).shuffle(ids)
        again = screen(dataset=dataset, policy=GATE, ids=ids)
        assert again.screening == first.screening
        assert set(again.kept) == set(first.kept)


def test_all_but_the_held_out_splits_can_be_switched_off(data_dir):
    dataset = make_dataset()
    configure(dataset, duplicate_prompts=False, duplicate_pairs=False, contamination=False)
    folder = data_dir / "decontamination"
    folder.mkdir(parents=True)
    (folder / "exam.txt").write_text(passage(2))
    held_out = add(dataset, passage(1), answer=1, split="test")
    add(dataset, passage(1), answer=1)
    copies = [add(dataset, passage(2), answer=2) for _ in range(2)]
    screened = search(dataset)
    assert set(screened.kept) == {held_out.pk, *(one.pk for one in copies)}
    assert screened.screening.counts["dropped"] == {"contaminated": 1}


def test_rejected_ones_with_held_out_words_are_in_no_file(data_dir):
    dataset = make_dataset()
    make_sample(dataset, text=passage(1), split="test")
    add(dataset, passage(3), answer=3)
    for number in (1, 2):
        rejected = add(dataset, passage(number), answer=number)
        CompletionState.objects.filter(pk=rejected.pk).update(state="rejected")
    export = export_dataset(dataset=dataset, policy=GATE)
    assert export.manifest["configs"]["rejected"]["total"] == 1
    assert export.manifest["screening"]["rejected"] == {"contaminated": 1}


def test_an_export_leaves_out_what_was_dropped_and_says_so(data_dir):
    dataset = make_dataset()
    for number in (1, 1, 2):
        add(dataset, passage(number), answer=number)
    export = export_dataset(dataset=dataset, policy=GATE)
    assert export.manifest["counts"]["total"] == 2
    assert export.exported_completions.count() == 2
    assert export.manifest["screening"]["dropped"] == {"duplicate_prompt": 1}
    assert export.screening.findings.count() == 1
    assert export_dataset(dataset=dataset, policy=GATE) == export
    assert Screening.objects.count() == 1


def test_an_export_of_nothing_but_held_out_text_says_why_there_is_none(data_dir):
    dataset = make_dataset()
    make_sample(dataset, text=passage(1), split="test")
    add(dataset, passage(1), answer=1)
    with pytest.raises(InputError, match="Overlaps with held-out text"):
        export_dataset(dataset=dataset, policy=GATE)
