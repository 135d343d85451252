"""What each policy takes, and that the account of a run says the same."""

from __future__ import annotations

import orjson
import pytest
from django.urls import reverse

from distill.logic.errors import InputError
from distill.logic.reasons import Reason
from distill.models import Completion, CompletionState, Dataset, Export, Label
from distill.queries.eligible import count_eligible
from distill.queries.waterfall import dataset_waterfall
from distill.services.export import export_dataset
from tests.builders import make_completion, make_dataset, make_label, make_sample, make_user

pytestmark = pytest.mark.django_db

GATE, REVIEWED, GOLD = Export.Policy.GATE, Export.Policy.REVIEWED, Export.Policy.GOLD


def label(completion: Completion, basis: str, outcome: str = "accepted") -> None:
    make_label(completion, outcome=outcome)
    Label.objects.filter(completion=completion).update(basis=basis)


def exported(dataset: Dataset, policy: str, data_dir) -> set[str]:
    export = export_dataset(dataset=dataset, policy=policy)
    lines = (data_dir / export.folder / "train.jsonl").read_bytes().splitlines()
    return {orjson.loads(line)["completion_id"] for line in lines}


@pytest.fixture
def each_case() -> dict[str, Completion]:
    """A completion of each kind, all of one dataset."""
    dataset = make_dataset("cases")
    cases = {
        name: make_completion(
            make_sample(dataset),
            state="rejected" if "rejected" in name else "passed",
            reasons=[Reason.LOW_SCORE] if "rejected" in name else [],
        )
        for name in (
            *("undecided", "single", "legacy", "unanimous", "adjudicated", "refused"),
            *("rejected", "rejected_single", "rejected_unanimous"),
        )
    }
    for name in ("single", "legacy", "unanimous", "adjudicated"):
        label(cases[name], name)
    label(cases["rejected_single"], "single")
    label(cases["rejected_unanimous"], "unanimous")
    label(cases["refused"], "unanimous", "rejected")
    return cases


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        (GATE, {"undecided", "single", "legacy", "unanimous", "adjudicated"}),
        (
            REVIEWED,
            {
                *("single", "legacy", "unanimous", "adjudicated"),
                *("rejected_single", "rejected_unanimous"),
            },
        ),
        (GOLD, {"unanimous", "adjudicated", "rejected_unanimous"}),
    ],
)
def test_each_policy_takes_its_own_and_the_account_agrees(each_case, data_dir, policy, names):
    dataset = each_case["single"].sample.dataset
    assert exported(dataset, policy, data_dir) == {each_case[name].key for name in names}
    assert count_eligible(dataset=dataset, policy=policy) == len(names)
    sums = dataset_waterfall(dataset, policy=policy).balance
    assert sums.eligible == len(names)
    assert sums.total == sums.accounted == len(each_case)


def test_the_best_accepted_attempt_is_taken_whatever_the_gate_said(data_dir):
    sample = make_sample()
    make_completion(sample, attempt=2, mean_score=0.99)
    label(make_completion(sample, attempt=1, mean_score=0.5, state="rejected"), "unanimous")
    best = make_completion(sample, attempt=3, mean_score=0.7, state="rejected")
    label(best, "unanimous")
    for policy in (REVIEWED, GOLD):
        assert exported(sample.dataset, policy, data_dir) == {best.key}


@pytest.mark.parametrize("policy", Export.Policy.values)
def test_no_answer_of_a_student_is_ever_exported(data_dir, policy):
    kept = make_completion()
    label(kept, "unanimous")
    for attempt in (1, 2):
        answer = make_completion(
            kept.sample,
            attempt=attempt,
            mean_score=1.0,
            origin=Completion.Origin.EVALUATED,
            teacher="student:tiny",
        )
        CompletionState.objects.filter(completion=answer).update(dataset=None)
        label(answer, "unanimous")
    only_answered = make_completion(dataset=kept.sample.dataset)
    CompletionState.objects.filter(completion=only_answered).update(dataset=None)
    label(only_answered, "unanimous")
    assert exported(kept.sample.dataset, policy, data_dir) == {kept.key}


def test_gold_of_single_labels_says_what_to_do(data_dir):
    completion = make_completion()
    label(completion, "single")
    with pytest.raises(InputError) as caught:
        export_dataset(dataset=completion.sample.dataset, policy=GOLD)
    assert "1 await a further review" in str(caught.value)
    assert "two reviews of each completion" in str(caught.value)


def test_gold_can_be_chosen_on_the_site(client, each_case):
    client.force_login(make_user("lead"))
    wanted = {"dataset": "cases", "policy": GOLD}
    url = reverse("distill:exports")
    assert 'Export <span class="num">3</span> completions' in client.get(url, wanted).text
    page = client.post(url, wanted, follow=True).text
    assert "Agreed or adjudicated by people" in page
    assert "1 adjudicated, 2 unanimous" in page


def test_gold_can_be_chosen_in_the_admin(client, each_case):
    client.force_login(make_user("admin", is_superuser=True))
    dataset = each_case["single"].sample.dataset
    wanted = {"action": "export_gold", "_selected_action": [dataset.pk]}
    page = client.post(reverse("admin:distill_dataset_changelist"), wanted, follow=True)
    assert "the export is queued" in page.text
