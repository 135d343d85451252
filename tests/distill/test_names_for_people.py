"""What pages call samples and draws: titles, sources and numbers that people can use."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from distill.logic.samples import text_key
from distill.models import Completion, Sample, SampleDraw
from distill.templatetags.nexa_samples import named_source, sample_title
from review.services.fill import fill_queues
from tests.builders import make_completion, make_dataset, make_run, make_sample, make_user

TEXT = "Kelp forests shade the sea floor.\nUrchins graze them down to barren rock " + "again " * 30
HASH = text_key(TEXT)


def page(client: Client, name: str, *args: object, **query: object) -> str:
    text = client.get(reverse(name, args=args), query_params=query or None).content.decode()
    return " ".join(text.split())


@pytest.fixture
def lead(client: Client) -> Client:
    client.force_login(make_user("lead", "reviewer"))
    return client


def make_untitled() -> Sample:
    return make_sample(title="", text=TEXT, source_key=HASH)


# --- what a sample is called ---


@pytest.mark.parametrize(("key", "name"), [("reef-7", "reef-7"), (HASH, ""), ("", "")])
def test_a_hash_names_no_source(key: str, name: str):
    assert named_source(key) == name


def test_a_sample_has_its_title_else_its_source_else_its_first_words():
    assert sample_title(Sample(title="Kelp", source_key=HASH, text=TEXT)) == "Kelp"
    assert sample_title(Sample(source_key="reef-7", text=TEXT)) == "reef-7"
    called = sample_title(Sample(source_key=HASH, text=TEXT))
    assert called.startswith("Untitled: Kelp forests shade the sea floor. Urchins graze")
    assert called.endswith("…")
    assert len(called) < 90
    assert sample_title(Sample(source_key=HASH), "The  beginning") == "Untitled: The beginning"


@pytest.mark.django_db
def test_no_page_shows_a_hash_as_title_or_source(lead: Client):
    completion = make_completion(make_untitled())
    dataset = completion.sample.dataset
    pages = [
        page(lead, "distill:completion", completion.pk),
        page(lead, "distill:completions"),
        page(lead, "distill:dataset", dataset.pk),
    ]
    for shown in pages:
        assert HASH not in shown
        assert "Untitled:" in shown
        assert "Kelp forests shade" in shown


@pytest.mark.django_db
def test_the_review_card_is_called_by_its_first_words(lead: Client):
    completion = make_completion(make_untitled())
    fill_queues(dataset_id=completion.sample.dataset_id)
    queue = completion.slots.get().queue
    lead.post(reverse("review:read", args=[queue.pk]), {"version": 1})
    shown = page(lead, "review:queue", queue.pk)
    assert HASH not in shown
    assert f'<h2 id="title-{completion.slots.get().pk}">Untitled: Kelp forests' in shown


@pytest.mark.django_db
def test_a_known_source_stands_for_the_title(lead: Client):
    sample = make_sample(title="", source_key="reef-7")
    assert "<h1>reef-7</h1>" in page(lead, "distill:completion", make_completion(sample).pk)


# --- draws ---


@pytest.mark.django_db
def test_a_draw_is_shown_only_where_there_are_several(lead: Client):
    completion = make_completion()
    for shown in (
        page(lead, "distill:completion", completion.pk),
        page(lead, "distill:completions"),
    ):
        assert "draw 1" not in shown


@pytest.mark.django_db
def test_draws_count_from_one(lead: Client):
    sample = make_sample()
    first, second = (make_completion(sample, draw=draw) for draw in (0, 1))
    assert "draw 1 of 2" in page(lead, "distill:completion", first.pk)
    assert "draw 2 of 2" in page(lead, "distill:completion", second.pk)
    listed = page(lead, "distill:completions")
    assert "draw 1 of 2" in listed
    assert "draw 2 of 2" in listed


@pytest.mark.django_db
def test_a_draw_that_waits_is_one_of_several_too(lead: Client):
    run = make_run()
    sample = make_sample(run.dataset)
    answered: Completion = make_completion(sample)
    SampleDraw.objects.create(run=run, sample=sample, draw=1, state="pending")
    assert "draw 1 of 2" in page(lead, "distill:completion", answered.pk)
    pending = page(lead, "distill:completions", run=run.pk, state="pending")
    assert "2 of 2" in pending


@pytest.mark.django_db
def test_without_several_draws_there_is_no_column_of_them(lead: Client):
    run = make_run(make_dataset())
    SampleDraw.objects.create(run=run, sample=make_sample(run.dataset), draw=0, state="pending")
    pending = page(lead, "distill:completions", run=run.pk, state="pending")
    assert 'data-label="State"' in pending
    assert 'data-label="Draw"' not in pending
