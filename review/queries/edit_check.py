"""What an edit changes, and what the rules say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from distill.logic.errors import InputError
from distill.logic.recipe import Recipe, default_recipe
from distill.logic.rules import apply_rules
from distill.logic.templates import Template, parse_reply, plain_text, write_reply
from distill.logic.types import Evidence, RuleText
from distill.models import Completion, CompletionState
from review.logic.panes import panes
from review.logic.word_diff import Part, word_diff


@dataclass(frozen=True, slots=True)
class ChangedPane:
    """One headed text, as the difference to what it became."""

    label: str
    parts: tuple[Part, ...]

    @property
    def is_changed(self) -> bool:
        return any(part.change != "kept" for part in self.parts)


@dataclass(frozen=True, slots=True)
class EditCheck:
    """The edit beside the original: `against` would have dropped it, `flags` want a person's look."""

    changes: tuple[ChangedPane, ...]
    against: tuple[Evidence, ...]
    flags: tuple[Evidence, ...]

    @property
    def is_changed(self) -> bool:
        return any(pane.is_changed for pane in self.changes)

    @property
    def findings(self) -> tuple[Evidence, ...]:
        return (*self.against, *self.flags)

    @property
    def codes(self) -> str:
        """Which reasons there are: the same as long as nothing else was found."""
        return " ".join(finding.reason.value for finding in self.findings)


def changed_panes(
    before: Mapping[str, object], after: Mapping[str, object], *, texts: tuple[str, str] = ("", "")
) -> tuple[ChangedPane, ...]:
    """The fields of two answers compared; `texts` stand in for an answer that has none."""
    old = {pane.label: pane.text for pane in panes(before, text=texts[0])}
    new = {pane.label: pane.text for pane in panes(after, text=texts[1])}
    return tuple(
        ChangedPane(label, word_diff(old.get(label, ""), new.get(label, "")))
        for label in dict.fromkeys((*new, *old))
    )


def check_edit(completion: Completion, fields: Mapping[str, str]) -> EditCheck:
    """Compare the fields with the completion's own, and let the recipe look at them.

    It is the recipe under which the gate decided the completion, else that of its run, else the
    default one: its template says what a reply must have, its rules what stands against the text.
    """
    content = _recipe(completion)
    findings = (*_faults(content, completion, fields), *_rules(content, completion, fields))
    return EditCheck(
        changes=changed_panes(completion.fields, fields),
        against=tuple(finding for finding in findings if not finding.reason.is_flag),
        flags=tuple(finding for finding in findings if finding.reason.is_flag),
    )


def _recipe(completion: Completion) -> Recipe:
    states = CompletionState.objects.select_related("verdict__recipe", "completion__recipe")
    state = states.get(pk=completion.pk)
    row = state.verdict.recipe if state.verdict else state.completion.recipe
    return row.content if row else default_recipe()


def _faults(
    content: Recipe, completion: Completion, fields: Mapping[str, str]
) -> tuple[Evidence, ...]:
    """What a teacher's reply with these fields would have been refused for."""
    template = _template(content, completion)
    return parse_reply(template, write_reply(template, fields)).evidence if template else ()


def _rules(
    content: Recipe, completion: Completion, fields: Mapping[str, str]
) -> tuple[Evidence, ...]:
    template = _template(content, completion)
    text = plain_text(template, fields) if template else ""
    read = RuleText(text or "\n\n".join(fields.values()), completion.sample.text, fields)
    return apply_rules([read], content.rules)[0]


def _template(content: Recipe, completion: Completion) -> Template | None:
    try:
        return content.template_for(completion.template_name)
    except InputError:
        return None
