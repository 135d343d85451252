"""The pages: who may, what they show, with htmx and without, and how much they ask the database."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from distill.logic.reasons import Reason
from distill.models import Decision, Label
from distill.services.decide import record_decision
from review.logic.leases import LEASE
from review.models import Slot
from review.queries.counts import Decided, decided_since, my_decisions_since
from review.queries.proof import prove_card
from review.services.claim import claim_next
from review.services.fill import fill_queues
from tests import builders
from tests.builders import let_read, make_completion, make_sample, make_user

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true", "HX-Target": "card"}
POSTS = ("claim", "decide", "undo")


@pytest.fixture
def anna(client):
    user = make_user("reviewer", name="anna")
    client.force_login(user)
    return user


def make_queue(num_completions, **options):
    """A queue whose guidelines all who are there have read."""
    return builders.make_queue(num_completions, readers=User.objects.all(), **options)


def url(name, queue) -> str:
    return reverse(f"review:{name}", args=[queue.pk])


def claim(queue, reviewer) -> Slot:
    let_read(queue, reviewer)
    return claim_next(queue_id=queue.pk, reviewer=reviewer, now=timezone.now())[0]


def form(slot, kind="accept", **more) -> dict[str, object]:
    return {
        "slot": slot.pk,
        "proof": prove_card(slot),
        "client_id": uuid.uuid4(),
        "kind": kind,
        **more,
    }


# --- who may ---


@pytest.mark.parametrize(
    ("role", "queues", "queue"),
    [("reviewer", 200, 200), ("lead", 200, 200), ("admin", 200, 200), ("operator", 200, 403)],
)
def test_reviewers_decide_and_operators_look(client, role, queues, queue):
    there = make_queue(1)
    client.force_login(make_user(role))
    assert client.get(reverse("review:queues")).status_code == queues
    assert client.get(url("queue", there)).status_code == queue


def test_an_operator_may_not_decide(client):
    queue = make_queue(1)
    slot = claim(queue, make_user("reviewer"))
    client.force_login(make_user("operator"))
    assert client.post(url("decide", queue), form(slot)).status_code == 403
    assert not Decision.objects.exists()
    assert b"/claim/" not in client.get(reverse("review:queues")).content


@pytest.mark.parametrize("name", POSTS)
def test_anonymous_is_sent_to_log_in(client, name):
    queue = make_queue(1)
    assert client.post(url(name, queue)).url.startswith("/login/")
    seen = {**HTMX, "HX-Current-URL": f"http://testserver{url('queue', queue)}"}
    answer = client.post(url(name, queue), headers=seen)
    assert answer.headers["HX-Redirect"] == f"/login/?next={url('queue', queue)}"


@pytest.mark.parametrize("name", POSTS)
def test_a_get_changes_nothing_and_finds_the_queue(client, anna, name):
    queue = make_queue(1)
    assert client.get(url(name, queue)).url == url("queue", queue)
    assert not Slot.objects.exclude(state="open").exists()


@pytest.mark.parametrize("name", ["queue", *POSTS])
def test_a_queue_that_is_not_there_is_404(client, anna, name):
    call = client.get if name == "queue" else client.post
    assert call(reverse(f"review:{name}", args=[999]), {}, headers=HTMX).status_code == 404


# --- the list ---


def test_the_list_counts_by_queue(client, anna):
    queue = make_queue(4)
    slot = claim(queue, anna)
    client.post(url("decide", queue), form(slot))
    record_decision(
        completion_id=make_completion(dataset=queue.dataset).pk,
        reviewer=make_user("reviewer"),
        kind="accept",
        client_id=uuid.uuid4(),
    )
    (line,) = client.get(reverse("review:queues")).context["lines"]
    assert (line.counts.open, line.counts.claimed, line.counts.done) == (2, 1, 1)
    assert (line.today.all, line.today.mine) == (1, 1)


def test_what_was_decided_before_midnight_is_not_todays(client, anna):
    queue = make_queue(2)
    client.post(url("decide", queue), form(claim(queue, anna)))
    midnight = timezone.now()
    assert my_decisions_since(since=midnight, reviewer=anna) == 0
    assert decided_since(since=midnight, reviewer=anna) == {}
    client.post(url("decide", queue), form(Slot.objects.get(state="claimed")))
    assert my_decisions_since(since=midnight, reviewer=anna) == 1
    assert decided_since(since=midnight, reviewer=anna) == {queue.pk: Decided(1, 1)}


def test_the_list_asks_as_much_for_many_queues_as_for_one(
    client, anna, django_assert_max_num_queries
):
    for _ in range(4):
        make_queue(2)
    with django_assert_max_num_queries(8):
        client.get(reverse("review:queues"))


def test_without_queues_the_list_says_what_will_bring_one(client, anna):
    assert b"Nothing to review yet" in client.get(reverse("review:queues")).content


# --- the card ---


def test_a_card_shows_source_pair_domain_teacher_and_lineage(client, anna):
    queue = make_queue(0)
    sample = make_sample(queue.dataset, domain="ecology", title="On moss", text="Moss dries.")
    parent = make_completion(sample, reasons=[Reason.CITATION], is_open=False)
    make_completion(sample, parent=parent, attempt=2, teacher="offline:extractive")
    client.post(url("claim", queue))
    page = client.get(url("queue", queue)).content.decode()
    for text in ("On moss", "Moss dries.", "ecology", "If soil moisture falls", "Incubate 24"):
        assert text in page
    assert "Stand-in teacher: offline:extractive" in page
    assert "Attempt 2:" in page
    assert "Citation or bracketed reference" in page


def test_the_judge_is_hidden_until_the_decision(client, anna):
    queue = make_queue(0)
    make_completion(dataset=queue.dataset, mean_score=0.83)
    client.post(url("claim", queue))
    assert b"0.83" not in client.get(url("queue", queue)).content
    client.post(url("decide", queue), form(Slot.objects.get()))
    assert b"judge 0.83" in client.get(url("queue", queue)).content


def test_a_skip_does_not_show_the_judge(client, anna):
    queue = make_queue(0)
    make_completion(dataset=queue.dataset, mean_score=0.83)
    client.post(url("claim", queue))
    client.post(url("decide", queue), form(Slot.objects.get(), "skip"))
    assert b"0.83" not in client.get(url("queue", queue)).content


def test_hostile_text_stays_text(client, anna):
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'{{ 7|add:7 }}"
    queue = make_queue(0)
    sample = make_sample(queue.dataset, domain=evil, title=evil, text=evil, instruction=evil)
    make_completion(sample, fields={"hypothesis": evil, evil: evil}, teacher=f"offline:{evil}")
    client.post(url("claim", queue))
    slot = Slot.objects.get()
    pages = [client.get(url("queue", queue)).content.decode()]
    answer = client.post(
        url("decide", queue), form(slot, "reject", reason="trivial", note=evil), headers=HTMX
    )
    for page in [*pages, answer.content.decode()]:
        assert "<script>alert" not in page.lower()
        assert "<img src=x" not in page.lower()
        assert "14" not in page.split("alert(2)")[1][:40]
    assert Decision.objects.get().note == evil


def test_looking_claims_nothing(client, anna):
    queue = make_queue(1)
    assert b"Ready when you are" in client.get(url("queue", queue)).content
    assert Slot.objects.get().state == "open"


def test_looking_asks_little(client, anna, django_assert_max_num_queries):
    queue = make_queue(12)
    for _ in range(11):
        client.post(url("claim", queue))
        client.post(url("decide", queue), form(Slot.objects.get(state="claimed")))
    with django_assert_max_num_queries(13):
        client.get(url("queue", queue))


def test_deciding_asks_little(client, anna, django_assert_max_num_queries):
    queue = make_queue(12)
    slot = claim(queue, anna)
    with django_assert_max_num_queries(42):
        client.post(url("decide", queue), form(slot), headers=HTMX)


# --- deciding ---


@pytest.mark.parametrize("headers", [{}, HTMX])
@pytest.mark.parametrize(
    ("kind", "outcome"), [("accept", "accepted"), ("reject", "rejected"), ("skip", None)]
)
def test_deciding_shows_the_next_card(client, anna, headers, kind, outcome):
    queue = make_queue(2)
    slot = claim(queue, anna)
    data = form(slot, kind, reason="not_grounded", note="see table 2", active_ms="1500")
    answer = client.post(url("decide", queue), data, headers=headers)
    assert answer.status_code == (200 if headers else 302)
    decision = Decision.objects.get()
    assert (decision.kind, decision.note, decision.active_ms) == (kind, "see table 2", 1500)
    assert decision.reasons == (["not_grounded"] if kind == "reject" else [])
    label = Label.objects.first()
    assert (label.outcome if label else None) == outcome
    assert Slot.objects.get(state="claimed").pk != slot.pk


def test_with_htmx_only_the_card_and_what_changed_comes_back(client, anna):
    queue = make_queue(2)
    answer = client.post(url("decide", queue), form(claim(queue, anna)), headers=HTMX)
    page = answer.content.decode()
    assert page.count("<article") == 1
    assert 'id="card"' not in page
    for part in ('id="progress"', 'id="history"', ">Accepted.</p>"):
        assert part in page
    assert "<html" not in page


def test_sending_twice_decides_once(client, anna):
    queue = make_queue(2)
    data = form(claim(queue, anna))
    client.post(url("decide", queue), data, headers=HTMX)
    again = client.post(url("decide", queue), data, headers=HTMX)
    assert "saved before" in again.content.decode()
    assert Decision.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "reject"}, "A rejection needs a reason"),
        ({"kind": "reject", "reason": "low_score"}, "not a reason that a reviewer gives"),
        ({"kind": "delete"}, "Not saved. kind"),
        ({"client_id": "x"}, "Not saved. client_id"),
        ({"slot": "9" * 40}, "Not saved. slot"),
        ({"slot": 424242}, "was not given to you"),
    ],
)
def test_what_cannot_be_saved_is_said_and_the_card_stays(client, anna, change, message):
    queue = make_queue(1)
    slot = claim(queue, anna)
    answer = client.post(url("decide", queue), form(slot) | change, headers=HTMX)
    assert message in answer.content.decode()
    assert f'data-slot="{slot.pk}"' in answer.content.decode()
    plain = client.post(url("decide", queue), form(slot) | change, follow=True)
    assert message in plain.content.decode()
    assert not Decision.objects.exists()


def test_a_broken_measurement_does_not_cost_the_decision(client, anna):
    queue = make_queue(1)
    client.post(url("decide", queue), form(claim(queue, anna), active_ms="-3.5e99"))
    assert Decision.objects.get().active_ms is None


def test_deciding_a_card_decided_in_another_tab_says_so(client, anna):
    queue = make_queue(2)
    slot = claim(queue, anna)
    client.post(url("decide", queue), form(slot))
    answer = client.post(url("decide", queue), form(slot, "skip"), headers=HTMX)
    assert "accepted this completion already" in answer.content.decode()
    assert Decision.objects.count() == 1


def test_a_late_decision_is_kept_and_said(client, anna):
    queue, ben = make_queue(1), make_user("reviewer")
    slot = claim(queue, anna)
    let_read(queue, ben)
    claim_next(queue_id=queue.pk, reviewer=ben, now=timezone.now() + 2 * LEASE)
    answer = client.post(url("decide", queue), form(slot), headers=HTMX)
    assert "Kept as a further opinion" in answer.content.decode()
    assert Decision.objects.get().reviewer == anna


# --- undo ---


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_undo_brings_the_card_back(client, anna, headers):
    queue = make_queue(2)
    slot = claim(queue, anna)
    client.post(url("decide", queue), form(slot))
    answer = client.post(
        url("undo", queue), {"client_id": uuid.uuid4(), "decision": ""}, headers=headers
    )
    assert answer.status_code == (200 if headers else 302)
    assert not Label.objects.exists()
    assert client.get(url("queue", queue)).context["screen"].card.slot == slot


def test_undo_of_a_named_decision(client, anna):
    queue = make_queue(3)
    client.post(url("decide", queue), form(claim(queue, anna)))
    first = Decision.objects.get()
    client.post(url("decide", queue), form(Slot.objects.get(state="claimed")))
    client.post(url("undo", queue), {"client_id": uuid.uuid4(), "decision": first.pk})
    assert Decision.objects.get(kind="undo").undoes == first


def test_with_nothing_to_undo_that_is_said(client, anna):
    queue = make_queue(1)
    answer = client.post(url("undo", queue), {"client_id": uuid.uuid4()}, headers=HTMX)
    assert "nothing of yours to undo" in answer.content.decode()


# --- which kind of empty ---


def kind_of_empty(client, queue):
    return client.get(url("queue", queue)).context["screen"].emptiness.kind


def test_nothing_has_passed_yet(client, anna):
    assert kind_of_empty(client, make_queue(0)) == "nothing_fits"


def test_all_is_done(client, anna):
    queue = make_queue(1)
    client.post(url("decide", queue), form(claim(queue, anna)))
    assert kind_of_empty(client, queue) == "all_done"


def test_the_rest_is_for_others(client, anna):
    queue = make_queue(1)
    client.post(url("decide", queue), form(claim(queue, anna), "skip"))
    assert kind_of_empty(client, queue) == "left_to_others"


def test_all_is_leased_by_others_and_when_the_next_is_free(client, anna):
    queue = make_queue(1)
    claim(queue, make_user("reviewer"))
    page = client.get(url("queue", queue)).content.decode()
    assert "is free in" in page
    assert "9:59" in page


def test_a_lease_that_has_ended_is_as_good_as_free(client, anna):
    queue = make_queue(1)
    claim(queue, make_user("reviewer"))
    Slot.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert kind_of_empty(client, queue) == "ready"


def test_looking_again_finds_what_passed_meanwhile(client, anna):
    queue = make_queue(0)
    make_completion(dataset=queue.dataset)
    client.post(url("claim", queue))
    assert client.get(url("queue", queue)).context["screen"].card is not None


def test_a_filled_queue_belongs_to_its_dataset_alone(client, anna):
    one, other = make_queue(1), make_queue(1)
    fill_queues(dataset_id=other.dataset_id)
    client.post(url("claim", one))
    assert Slot.objects.get(state="claimed").queue == one


# --- whose card it is ---


def test_a_card_that_was_given_to_another_cannot_be_decided(client, anna):
    queue = make_queue(2)
    others = claim(queue, make_user("reviewer"))
    answer = client.post(url("decide", queue), form(others), headers=HTMX)
    assert "was not given to you" in answer.content.decode()
    assert not Decision.objects.exists()


@pytest.mark.parametrize("proof", ["forged", "WzEsMSwxXQ:1:x"])
def test_a_forged_proof_is_refused(client, anna, proof):
    queue = make_queue(1)
    slot = claim(queue, anna)
    answer = client.post(url("decide", queue), form(slot) | {"proof": proof}, headers=HTMX)
    assert "was not given to you" in answer.content.decode()
    assert not Decision.objects.exists()


def test_a_card_is_decided_in_its_own_queue_alone(client, anna):
    queue, other = make_queue(1), make_queue(1)
    slot = claim(queue, anna)
    client.post(url("decide", other), form(slot), headers=HTMX)
    assert not Decision.objects.exists()
    client.post(url("decide", queue), form(slot), headers=HTMX)
    assert Decision.objects.count() == 1
