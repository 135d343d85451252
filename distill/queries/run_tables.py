"""A run's sample × draws as rows of a table, in the order in which the run took them.

Read in batches by their ids, so that a million of them need no more memory than a few hundred.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import orjson
from django.db.models import Exists, OuterRef, Q, QuerySet

from distill.logic.errors import InputError
from distill.logic.reasons import Reason, Stage
from distill.logic.recipe import Recipe
from distill.models import (
    Completion,
    CompletionState,
    Judgement,
    Label,
    Run,
    SampleDraw,
    SourceFile,
    Verdict,
)

_BATCH = 500
_State = SampleDraw.State
GENERATE = "generate"
"""The stage of what failed before there was anything to reject."""


class OutputRows:
    """The rows of those that have a completion."""

    def __init__(self, run: Run, *, states: Collection[str], with_flags: bool) -> None:
        draws = run.sample_draws.filter(completion__isnull=False)
        self._draws = draws.filter(state__in=states) if states else draws
        self._with_flags = with_flags
        self._columns = _Columns(run)

    def read(self) -> Iterator[dict[str, Any]]:
        for batch in _batches(self._draws):
            scores = _scores(batch) if self._with_flags else {}
            for draw in batch:
                row = self._columns.of(draw)
                yield row | _flags(draw, scores) if self._with_flags else row


class RejectionRows:
    """The rows of those that a machine or a person rejected, and of those that failed."""

    def __init__(self, run: Run) -> None:
        refused = Label.objects.filter(
            completion=OuterRef("completion"), outcome=Label.Outcome.REJECTED
        )
        is_lost = Q(state__in=(_State.REJECTED, _State.FAILED)) | Q(Exists(refused))
        self._draws = run.sample_draws.filter(is_lost)
        self._columns = _Columns(run)

    def read(self) -> Iterator[dict[str, Any]]:
        for batch in _batches(self._draws):
            scores = _scores(batch)
            for draw in batch:
                yield _rejection(draw) | self._columns.of(draw) | _flags(draw, scores)


class _Columns:
    """What is the same for many rows is looked up once."""

    def __init__(self, run: Run) -> None:
        self._recipe: Recipe = run.recipe.content
        self._files = dict(SourceFile.objects.filter(dataset=run.dataset).values_list("id", "name"))

    def of(self, draw: SampleDraw) -> dict[str, Any]:
        sample, completion = draw.sample, draw.completion
        return {
            "domain": sample.domain,
            "template_name": sample.template_name,
            "user_prompt": sample.instruction,
            "context": sample.text,
            **self._prompts(sample.template_name),
            "source_file": self._files.get(sample.source_file_id, ""),
            "sample_id": sample.key,
            "source_id": sample.source_key,
            "split": sample.split,
            "title": sample.title,
            "draw": draw.draw,
            "state": draw.state,
            **(_answer(completion) if completion else {}),
        }

    def _prompts(self, template_name: str) -> dict[str, str]:
        try:
            template = self._recipe.template_for(template_name)
        except InputError:
            return {}
        return {
            # The guide's name for the passage.
            "template_prompt": template.user.replace("{text}", "{context}"),
            "system_prompt": template.system,
        }


def _batches(draws: QuerySet[SampleDraw]) -> Iterator[list[SampleDraw]]:
    joined = draws.select_related(
        "sample",
        "verdict",
        "completion__parent",
        "completion__state_row",
        "completion__label__decision",
    ).defer("sample__metadata", "completion__parent__text", "completion__parent__fields")
    after = 0
    while batch := list(joined.filter(pk__gt=after).order_by("pk")[:_BATCH]):
        yield batch
        after = batch[-1].pk


def _answer(completion: Completion) -> dict[str, Any]:
    sent, got = completion.prompt_tokens, completion.completion_tokens
    return {
        "generated_at": completion.created_at.timestamp(),
        "teacher_output": completion.text,
        "model_id": completion.model or completion.teacher,
        "latency_ms": completion.latency_ms,
        "prompt_tokens": sent,
        "completion_tokens": got,
        "total_tokens": None if sent is None or got is None else sent + got,
        "completion_id": completion.key,
        "parent_id": completion.parent.key if completion.parent else None,
        "teacher": completion.teacher,
        "attempt": completion.attempt,
        "finish_reason": completion.finish_reason,
    }


def _scores(batch: Sequence[SampleDraw]) -> dict[int, dict[str, Mapping[str, float]]]:
    """Each completion's scores by judge; of a judge that was asked twice, the later ones."""
    judgements = Judgement.objects.filter(
        completion__in=[draw.completion_id for draw in batch if draw.completion_id]
    ).exclude(scores={})
    found: dict[int, dict[str, Mapping[str, float]]] = defaultdict(dict)
    for judgement in judgements.order_by("id"):
        found[judgement.completion_id][judgement.judge] = judgement.scores
    return found


_RULE_STAGES = {Stage.PARSE, Stage.RULES}


def _flags(
    draw: SampleDraw, scores: Mapping[int, dict[str, Mapping[str, float]]]
) -> dict[str, Any]:
    """The guide's flags; null where the rules have not looked at it."""
    completion = draw.completion
    if completion is None:
        return {}
    state = completion.state_row
    by_judge = scores.get(completion.pk)
    judged = {
        "mean_score": state.mean_score,
        "judge_scores": orjson.dumps(by_judge).decode() if by_judge else None,
    }
    if draw.state in (_State.PENDING, _State.ANSWERED):
        return judged
    reasons = {Reason(code) for code in _verdict_reasons(draw.verdict, state)}
    return judged | {
        "length_char_ok": Reason.TOO_SHORT not in reasons,
        # Tokens and characters are one rule here: a text that is too short fails both.
        "length_token_ok": Reason.TOO_SHORT not in reasons,
        "action_verb_ok": Reason.NO_ACTION_VERB not in reasons,
        "no_citations": Reason.CITATION not in reasons,
        "passes_all": not any(reason.stage in _RULE_STAGES for reason in reasons),
        "quality_pass": None if draw.state == _State.FILTERED else draw.state == _State.PASSED,
    }


def _verdict_reasons(verdict: Verdict | None, state: CompletionState) -> list[str]:
    return verdict.reasons if verdict else state.reasons


def _rejection(draw: SampleDraw) -> dict[str, Any]:
    """Who rejected it first, and everything that was said against it."""
    attempts = draw.completion.attempt if draw.completion else 0
    if draw.state == _State.FAILED:
        finding = {"reason": draw.failure_kind, "detail": draw.failure_message}
        reasons, stage, evidence = [draw.failure_kind], GENERATE, [finding]
    elif draw.state == _State.REJECTED and draw.verdict:
        verdict = draw.verdict
        reasons, stage, evidence = verdict.reasons, verdict.stage, verdict.evidence
    else:
        reasons, evidence = _refusal(draw)
        stage = Stage.REVIEW.value
    return {
        "rejection_reason": reasons[0] if reasons else None,
        "rejection_reasons": reasons,
        "rejection_stage": stage,
        "evidence": orjson.dumps(evidence).decode(),
        "attempts": attempts,
    }


def _refusal(draw: SampleDraw) -> tuple[list[str], list[dict[str, str]]]:
    label: Label | None = getattr(draw.completion, "label", None)
    if label is None:
        return [], []
    decision = label.decision
    return decision.reasons, [
        {"reason": reason, "detail": decision.note} for reason in decision.reasons
    ]
