"""Edits that are begun: who keeps them, what is said of them, with and without a script."""

from __future__ import annotations

import html

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from distill.logic.errors import ConflictError, InputError
from review.models import Draft, Slot
from review.queries.drafts import edit_forms
from review.queries.edit_check import check_edit
from review.queries.proof import prove_card
from review.services.claim import claim_next
from review.services.drop_draft import drop_draft
from review.services.save_draft import save_draft
from tests.builders import PAIR, make_completion, make_queue, make_user

pytestmark = pytest.mark.django_db

FETCH = {"HX-Request": "true", "HX-Target": "edit_check"}
EDITED = {
    **PAIR,
    "hypothesis": "If soils dry below 12 % moisture, nitrifiers lose half their rate.",
}


@pytest.fixture
def anna(client):
    user = make_user("reviewer", name="anna")
    client.force_login(user)
    return user


@pytest.fixture
def slot(anna) -> Slot:
    queue = make_queue(1, readers=User.objects.all())
    return claim_next(queue_id=queue.pk, reviewer=anna, now=timezone.now())[0]


def post(client, slot, words=None, *, headers=FETCH, changed=None):
    fields = {f"field-{name}": text for name, text in (words or {}).items()}
    data = {"slot": slot.pk, "proof": prove_card(slot), **fields, **(changed or {})}
    return client.post(reverse("review:draft", args=[slot.queue_id]), data, headers=headers)


# --- the services ---


def test_the_last_words_stand(slot, anna):
    for text in ("One.", "Two."):
        save_draft(slot_id=slot.pk, reviewer=anna, fields={**PAIR, "hypothesis": text})
    assert Draft.objects.get().fields["hypothesis"] == "Two."


def test_an_edit_taken_back_leaves_no_draft(slot, anna):
    save_draft(slot_id=slot.pk, reviewer=anna, fields=EDITED)
    for _twice in range(2):
        assert save_draft(slot_id=slot.pk, reviewer=anna, fields=PAIR) is None
    assert not Draft.objects.exists()


def test_who_does_not_hold_the_card_keeps_none(slot, anna):
    with pytest.raises(ConflictError):
        save_draft(slot_id=slot.pk, reviewer=make_user("reviewer"), fields=EDITED)
    Slot.objects.update(state=Slot.State.OPEN, reviewer=None)
    with pytest.raises(ConflictError):
        save_draft(slot_id=slot.pk, reviewer=anna, fields=EDITED)
    assert not Draft.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [{}, {"hypothesis": "H"}, {**PAIR, "more": "M"}, {**PAIR, "hypothesis": "x" * 100_001}],
)
def test_an_edit_has_the_fields_of_the_answer(slot, anna, fields):
    with pytest.raises(InputError):
        save_draft(slot_id=slot.pk, reviewer=anna, fields=fields)


def test_a_draft_goes_once(slot, anna):
    save_draft(slot_id=slot.pk, reviewer=anna, fields=EDITED)
    assert drop_draft(completion_id=slot.completion_id, reviewer=anna)
    assert not drop_draft(completion_id=slot.completion_id, reviewer=anna)


def test_the_forms_of_several_cards_take_one_query(slot, anna, django_assert_num_queries):
    draft = save_draft(slot_id=slot.pk, reviewer=anna, fields=EDITED)
    bare = make_completion(fields={}, text="as it came")
    completions = [slot.completion, bare]
    with django_assert_num_queries(1):
        forms = edit_forms(completions, reviewer=anna)
    first = forms[slot.completion_id]
    assert [(one.name, one.text) for one in first.fields] == list(EDITED.items())
    assert first.fields[0].original == PAIR["hypothesis"]
    assert draft
    assert first.saved_at == draft.updated_at
    assert forms[bare.pk].fields == ()


# --- the check ---


def test_the_rules_look_at_the_edited_words(slot):
    check = check_edit(slot.completion, {**PAIR, "hypothesis": "It may be so [12]. TODO"})
    assert {"citation", "placeholder"} <= set(check.codes.split())
    assert check.is_changed
    assert check_edit(slot.completion, {**PAIR, "hypothesis": " "}).codes.startswith(
        "missing_field"
    )


def test_a_flag_is_no_refusal(slot):
    mail = f"{PAIR['methodology']} Write to jane.miller@uni-example.org."
    check = check_edit(slot.completion, {**PAIR, "methodology": mail})
    assert [one.reason.value for one in check.flags] == ["personal_data"]
    assert "personal_data" not in [one.reason.value for one in check.against]


# --- the page ---


def test_the_script_gets_the_check_alone(client, slot):
    answer = post(client, slot, EDITED)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert 'data-state="saved"' in answer.text
    assert "<ins>" in answer.text
    assert "[removed: " in answer.text
    assert Draft.objects.get().fields == EDITED


def test_words_that_are_the_original_again_are_unchanged(client, slot):
    post(client, slot, EDITED)
    answer = post(client, slot, {name: text.replace("\n", "\r\n") for name, text in PAIR.items()})
    assert 'data-state="unchanged"' in answer.text
    assert not Draft.objects.exists()


def test_without_a_script_it_is_a_page(client, slot):
    opened = post(client, slot, headers={})
    assert "Check</button>" in opened.text
    assert "Save as accepted" not in opened.text
    checked = post(client, slot, EDITED, headers={})
    assert html.escape(EDITED["hypothesis"]) in checked.text
    assert "Save as accepted" in checked.text
    again = post(client, slot, headers={})
    assert html.escape(EDITED["hypothesis"]) in again.text
    assert Draft.objects.count() == 1, "opening the page keeps the draft"


def test_a_card_that_went_keeps_the_words_on_the_page(client, slot):
    Slot.objects.update(state=Slot.State.OPEN, reviewer=None)
    answer = post(client, slot, EDITED, headers={})
    assert answer.status_code == 409
    assert "not yours any more" in answer.text
    assert html.escape(EDITED["hypothesis"]) in answer.text


def test_nobody_edits_with_the_proof_of_another(client, slot):
    proof = prove_card(slot)
    client.force_login(make_user("reviewer"))
    assert post(client, slot, EDITED, changed={"proof": proof}).status_code == 422
    assert post(client, slot, EDITED, headers={}, changed={"proof": proof}).status_code == 302
    assert not Draft.objects.exists()


@pytest.mark.parametrize("broken", [{"slot": "x"}, {"proof": ""}, {"slot": 2**62}])
def test_a_broken_form_says_so(client, slot, broken):
    answer = post(client, slot, EDITED, changed=broken)
    assert answer.status_code == 422
    assert "callout" in answer.text


def test_who_may_not_review_keeps_no_draft(client, slot):
    client.force_login(make_user("operator"))
    assert post(client, slot, EDITED).status_code == 403
    assert not Draft.objects.exists()


def test_hostile_words_stay_words(client, slot):
    attack = "</textarea><xss-probe onload=alert(1)>\0{{ 7|add:1 }}"
    answer = post(client, slot, {**EDITED, "methodology": attack}, headers={})
    assert answer.status_code == 200
    assert "<xss-probe" not in answer.text
    assert "{{ 7|add:1 }}" in answer.text
    assert "\0" not in Draft.objects.get().fields["methodology"]
