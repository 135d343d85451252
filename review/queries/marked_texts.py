"""The texts of cards with what is marked in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distill.logic.errors import InputError
from distill.logic.templates import field_spans
from distill.logic.types import Evidence
from distill.models import Completion, CompletionState, Verdict
from distill.queries.sent_messages import read_evidence
from review.logic.highlights import Part, Span, of_rules, rule_spans, shared_spans, split_spans
from review.logic.panes import Pane, panes


@dataclass(frozen=True, slots=True)
class MarkedPane:
    """One headed text in parts."""

    label: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class MarkedTexts:
    """What a card shows of a completion and its source.

    `findings` are those of rules, with or without a place in the text; of judges nothing is shown.
    """

    panes: tuple[MarkedPane, ...]
    source: tuple[Part, ...]
    findings: tuple[Evidence, ...]

    @property
    def has_source_marks(self) -> bool:
        return any(part.runs for part in self.source)


def marked_texts(completions: Sequence[Completion]) -> dict[int, MarkedTexts]:
    """By completion what is marked, in one query; samples must have been read with them."""
    states = CompletionState.objects.filter(completion__in=completions, verdict__isnull=False)
    verdicts = {state.pk: state.verdict for state in states.select_related("verdict__recipe")}
    return {one.pk: _marked(one, verdicts.get(one.pk)) for one in completions}


def _marked(completion: Completion, verdict: Verdict | None) -> MarkedTexts:
    shown = panes(completion.fields, text=completion.text)
    source = completion.sample.text
    drawn, in_source = shared_spans([pane.text for pane in shown], source)
    findings = read_evidence(verdict) if verdict else ()
    fired = _fired(completion, verdict, shown, findings) if verdict else {}
    return MarkedTexts(
        panes=tuple(
            MarkedPane(pane.label, split_spans(pane.text, (*spans, *fired.get(pane.name, ()))))
            for pane, spans in zip(shown, drawn, strict=True)
        ),
        source=split_spans(source, in_source),
        findings=of_rules(findings),
    )


def _fired(
    completion: Completion, verdict: Verdict, shown: Sequence[Pane], findings: Sequence[Evidence]
) -> Mapping[str, tuple[Span, ...]]:
    """Where rules fired in each pane: places count in the text as the template puts it together."""
    if not completion.fields:
        return rule_spans(findings, {"": (0, len(shown[0].text))})
    try:
        template = verdict.recipe.content.template_for(completion.template_name)
    except InputError:
        return {}
    return rule_spans(findings, field_spans(template, completion.fields))
