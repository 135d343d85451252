"""What is marked in the texts of cards, as the database knows them."""

from __future__ import annotations

import pytest
from django.template.loader import render_to_string

from distill.logic.reasons import Reason
from distill.models import Completion, CompletionState, Verdict
from review.queries.marked_texts import marked_texts
from tests.builders import PAIR, make_completion, make_run

pytestmark = pytest.mark.django_db


def test_rules_are_marked_in_one_query_and_judges_never(django_assert_num_queries):
    run = make_run()
    pair = {**PAIR, "methodology": "<xss-probe>Mix it [1]."}
    completion = make_completion(dataset=run.dataset, fields=pair)
    start = len(PAIR["hypothesis"]) + 2 + pair["methodology"].index("[1]")
    evidence = [
        {"reason": Reason.CITATION, "detail": "[1]", "start": start, "end": start + 3},
        {"reason": Reason.LOW_SCORE, "detail": "0.21 by F", "start": None, "end": None},
    ]
    verdict = Verdict.objects.create(
        completion=completion, recipe=run.recipe, run=run, passed=False, evidence=evidence
    )
    CompletionState.objects.filter(pk=completion.pk).update(verdict=verdict)
    completions = list(Completion.objects.select_related("sample"))
    with django_assert_num_queries(1):
        texts = marked_texts(completions)[completion.pk]
    marked = [part.text for part in texts.panes[1].parts if "rule" in part.kinds]
    assert marked == ["[1]"]
    page = render_to_string(
        "review/card_text.html", {"card": {"texts": texts, "slot": {"completion": completion}}}
    )
    assert "&lt;xss-probe&gt;" in page
    assert "0.21" not in page
