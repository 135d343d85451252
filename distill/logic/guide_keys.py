"""Every key of the guide's three config files: what becomes of it here, or why nothing does.

A target is a place in `guide_configs`; a text says why the key is ignored. `section.*` stands for
whatever else the section holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_COLUMNS = "columns are mapped when a file is imported (import_dataset --text-column …)"
_PATHS = "commands take their files as arguments (--src, --dst)"
_SLOTS = "requests are not batched here; teacher.slots says how many are in flight at once"
_PROMPT = "put the file's text into system of a template (templates: in the recipe)"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a value goes: a name that `guide_configs` knows."""

    name: str


DISTILL_CONFIG: Mapping[str, Target | str] = {
    "defaults.prompt_column": _COLUMNS,
    "defaults.context_column": _COLUMNS,
    "defaults.task_type_column": _COLUMNS,
    "defaults.output_column": _COLUMNS,
    "collection.teacher_model": Target("teacher"),
    "collection.batch_size": _SLOTS,
    "collection.max_concurrent_requests": Target("slots"),
    "collection.system_prompt_path": _PROMPT,
    "collection.regen_teacher_model": "a regeneration asks the teacher that the recipe names",
    "collection.regen_system_prompt_path": "put the file's text into regeneration.instruction",
    "chunking.*": "texts are taken as the file cuts them",
    "storage.*": _PATHS,
}

FILTERS: Mapping[str, Target | str] = {
    "min_char_length": Target("min_chars"),
    "min_token_length": (
        "lengths are counted in characters here (80 tokens are about 320): raise rules.min_chars "
        "if you want that"
    ),
    "require_action_verb": Target("no_action_verb"),
    "ban_citations": Target("citation"),
    "allowed_action_verbs": Target("action_verbs"),
    "min_judge_score": Target("threshold"),
    "judge_f_threshold": Target("threshold"),
    "judge_r_threshold": Target("threshold"),
    "require_both_judges": "a judge without a valid reply is always a reason to reject here",
}

TEACHER_GEN: Mapping[str, Target | str] = {
    "generation.teacher_model": Target("teacher"),
    "generation.temperature": Target("temperature"),
    "generation.max_tokens": Target("max_tokens"),
    "generation.max_concurrent_requests": Target("slots"),
    "generation.full_batch_size": "a run is told how many samples to take (--max-samples)",
    "generation.batch_size": _SLOTS,
    "generation.top_p": "the provider's own is used",
    "judging.judge_f_model": Target("judge_f"),
    "judging.judge_r_model": Target("judge_r"),
    "judging.judge_temperature": Target("judge_temperature"),
    "judging.min_judge_score": Target("threshold"),
    "judging.judge_f_threshold": Target("threshold"),
    "judging.judge_r_threshold": Target("threshold"),
    "judging.require_both_judges": FILTERS["require_both_judges"],
    "data.prompt_column": _COLUMNS,
    "data.context_column": _COLUMNS,
    "data.source_dataset": _PATHS,
    "data.output_dir": _PATHS,
    "data.manifest_path": "an export writes its own manifest",
    "tracking.cost_per_1k_input": Target("price_input"),
    "tracking.cost_per_1k_output": Target("price_output"),
}
