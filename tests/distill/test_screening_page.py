"""The page and the command that show what a screening found, with the words that matched."""

from __future__ import annotations

import io
import re

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from distill.models import Export, Screening
from distill.queries.eligible import eligible_ids
from distill.services.export import export_dataset
from distill.services.screen import screen
from tests.builders import make_completion, make_dataset, make_label, make_sample, make_user

pytestmark = pytest.mark.django_db

TEXT = " ".join(f"<b>word{number}</b>" for number in range(60))
HELD_OUT = " ".join(f"secret{number}" for number in range(30))


@pytest.fixture
def dataset():
    """One copy, one held-out passage in training, one row that stays."""
    dataset = make_dataset("moss")
    make_sample(dataset, text=HELD_OUT, split="test")
    answers = [{"hypothesis": f"answer {number}"} for number in range(3)]
    make_completion(make_sample(dataset, text=TEXT, title="Better"), fields=answers[0])
    copy = make_sample(dataset, text=f"{TEXT} more", title="Copy")
    make_completion(copy, fields=answers[1], mean_score=0.8)
    make_completion(make_sample(dataset, text=f"Hear: {HELD_OUT}."), fields=answers[2])
    return dataset


@pytest.fixture
def look(client):
    client.force_login(make_user("lead"))

    def get(dataset, **query):
        return client.get(reverse("distill:screening", args=[dataset.pk]), query)

    return get


def search(dataset, policy="gate"):
    ids = eligible_ids(dataset=dataset, policy=policy)
    return screen(dataset=dataset, policy=policy, ids=ids).screening


def test_a_dataset_that_was_never_searched_says_how_it_is(look):
    assert "Not searched yet" in look(make_dataset()).text


def test_both_texts_are_shown_with_what_matched(dataset, look):
    search(dataset)
    shown = look(dataset).text
    assert "Same prompt as a better one" in shown
    assert "Held out: test split" in shown
    marks = re.findall(r"<mark>(.*?)</mark>", shown, re.DOTALL)
    assert len(marks) == 4
    assert "&lt;b&gt;word" in shown
    assert "<b>word" not in shown, "text is text"
    assert any("secret0 secret1" in mark for mark in marks)


def test_reasons_can_be_looked_at_one_by_one(dataset, look):
    search(dataset)
    shown = look(dataset, reason="contaminated").text
    assert shown.count("<article") == 1
    assert "Kept:" not in shown
    assert look(dataset, reason="<nonsense>").text.count("<article") == 2


def test_many_findings_come_in_pages_with_a_fixed_number_of_questions(
    look, django_assert_max_num_queries
):
    dataset = make_dataset()
    for number in range(25):
        sample = make_sample(dataset, text=TEXT)
        make_completion(sample, fields={"hypothesis": f"answer {number}"})
    search(dataset)
    with django_assert_max_num_queries(9):
        first = look(dataset)
    assert first.text.count("<article") == 20
    after = first.context["page"].next
    assert look(dataset, after=after).text.count("<article") == 4


def test_an_export_leads_to_what_it_left_out(dataset, look, client, data_dir):
    export = export_dataset(dataset=dataset, policy=Export.Policy.GATE)
    search(dataset)
    make_label(make_completion(dataset=dataset))
    newer = search(dataset, policy="reviewed")
    shown = client.get(reverse("distill:export", args=[export.pk])).text
    assert f"?screening={export.screening_id}" not in look(dataset).text
    assert f"?screening={export.screening_id}" in shown
    assert look(dataset, screening=export.screening_id).context["screening"] == export.screening
    assert look(dataset).context["screening"] == newer
    assert look(dataset, screening=newer.pk + 1).status_code == 404
    assert look(make_dataset(), screening=newer.pk).status_code == 404


def run_command(*args: object) -> str:
    out = io.StringIO()
    call_command("screen_dataset", *map(str, args), stdout=out)
    return out.getvalue()


def test_the_command_counts_and_quotes_and_writes_no_export(dataset, tmp_path):
    exam = tmp_path / "exam.txt"
    exam.write_text(" ".join(f"b word{number} b" for number in range(60)))
    shown = run_command("moss", "--policy", "gate", "--against", exam)
    assert "3  completions searched" in shown
    assert "3  left out: Overlaps with held-out text" in shown
    assert "~ exam.txt" in shown
    assert not Export.objects.exists()
    assert run_command("moss", "--policy", "gate", "--against", exam) == shown
    assert Screening.objects.count() == 1


def test_the_command_says_what_is_wrong(dataset):
    with pytest.raises(CommandError, match="no dataset"):
        run_command("nothing")
    with pytest.raises(CommandError, match="0 accepted"):
        run_command("moss")
    with pytest.raises(CommandError, match="no file"):
        run_command("moss", "--policy", "gate", "--against", "gone.txt")
