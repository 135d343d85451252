"""The guide's three config files as one recipe: nothing in them is lost without a word."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.errors import InputError
from distill.logic.guide_configs import import_guide_configs
from distill.logic.guide_keys import DISTILL_CONFIG, FILTERS, TEACHER_GEN
from distill.logic.recipe import Recipe, dump_recipe, load_recipe

DISTILL = """\
defaults:
  prompt_column: user_prompt
  context_column: context
collection:
  teacher_model: gpt-4o-mini
  batch_size: 8
  regen_teacher_model: o3-mini
storage:
  raw_dataset: data/raw.parquet
"""
RULES = """\
min_char_length: 200
min_token_length: 80
require_action_verb: false
ban_citations: true
allowed_action_verbs: [Measure, incubate]
judge_f_threshold: 85.0
judge_r_threshold: 80
"""
TEACHER = """\
generation:
  teacher_model: openrouter/openai/gpt-4o
  temperature: 0.7
  max_tokens: 2048
  full_batch_size: 100000
  max_concurrent_requests: 50
judging:
  judge_f_model: gpt-4o
  judge_r_model: anthropic:claude-sonnet-4-5
  judge_temperature: 0.1
tracking:
  cost_per_1k_input: 0.00015
  cost_per_1k_output: 0.0006
"""


def notes_of(**texts):
    return [str(note) for note in import_guide_configs(name="guide", **texts).notes]


def recipe_of(**texts) -> Recipe:
    return import_guide_configs(name="guide", **texts).recipe


def test_all_three_become_one_recipe():
    recipe = recipe_of(distill_config=DISTILL, filters=RULES, teacher_gen=TEACHER)
    teacher = recipe.teacher
    assert (teacher.name, teacher.temperature) == ("openrouter:openai/gpt-4o", 0.7)
    assert (teacher.max_tokens, teacher.slots) == (2048, 50)
    assert teacher.price is not None
    assert teacher.price.input_per_million == 0.15
    assert teacher.price.output_per_million == 0.6
    assert recipe.rules.min_chars == 200
    assert recipe.rules.action_verbs == ("measure", "incubate")
    assert (recipe.rules.no_action_verb, recipe.rules.citation) == (False, True)
    assert recipe.gate.min_mean == 0.85
    assert [(one.name, one.teacher, one.temperature) for one in recipe.judges] == [
        ("F", "openai:gpt-4o", 0.1),
        ("R", "anthropic:claude-sonnet-4-5", 0.1),
    ]
    assert {judge.max_tokens for judge in recipe.judges} == {1024}
    assert load_recipe(dump_recipe(recipe)) == recipe


def test_what_is_ignored_or_changed_is_named_with_file_line_and_reason():
    notes = notes_of(distill_config=DISTILL, filters=RULES, teacher_gen=TEACHER)
    for wanted in (
        "distill_config.yaml line 6, collection.batch_size: ignored, requests are not batched",
        "distill_config.yaml line 7, collection.regen_teacher_model: ignored, a regeneration",
        "distill_config.yaml line 9, storage.raw_dataset: ignored, commands take their files",
        "distill_config.yaml line 5, collection.teacher_model: ignored, teacher_gen_v1.yaml line 2",
        "filters.yaml line 2, min_token_length: ignored, lengths are counted in characters",
        "filters.yaml line 6, judge_f_threshold: 85 is 0.85 here",
        "filters.yaml line 6, judge_f_threshold: counts alone, as the highest",
        "teacher_gen_v1.yaml line 2, generation.teacher_model: openrouter/openai/gpt-4o is openr",
        "teacher_gen_v1.yaml line 8, judging.judge_f_model: gpt-4o is openai:gpt-4o here",
        "teacher_gen_v1.yaml line 12, tracking.cost_per_1k_input: 0.00015 is 0.15 here",
    ):
        assert any(note.startswith(wanted) for note in notes), (wanted, notes)


@pytest.mark.parametrize("score", [80, 80.0, 0.8])
def test_scores_of_either_scale_are_the_same(score):
    assert recipe_of(filters=f"min_judge_score: {score}").gate.min_mean == 0.8


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("generation:\n  teacher_modle: x", "did you mean generation.teacher_model?"),
        ("generaton:\n  temperature: 1", "did you mean generation?"),
        ("temperature: 1", "did you mean generation.temperature?"),
        ("judging:\n  judge_temprature: 1", "did you mean judging.judge_temperature?"),
        ("zzz: 1", "known are generation.teacher_model"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known(text, hint):
    (note,) = [
        n for n in import_guide_configs(name="g", teacher_gen=text).notes if n.kind == "unknown"
    ]
    assert "unknown, ignored" in note.text
    assert hint in note.text
    assert note.text.startswith("teacher_gen_v1.yaml line ")


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({}, "at least one of the three"),
        ({"filters": "min_char_length: many"}, "filters.yaml line 1, min_char_length: must be a"),
        ({"filters": "min_judge_score: 101"}, "filters.yaml line 1, min_judge_score: 1.01 is out"),
        ({"filters": "min_judge_score: high"}, "must be a number, not 'high'"),
        ({"filters": "allowed_action_verbs: mix"}, "must be a list of verbs"),
        ({"filters": "allowed_action_verbs: ['two words']"}, "line 1, allowed_action_verbs: 'two"),
        ({"filters": "a: ["}, "filters.yaml: The document is not valid YAML"),
        (
            {"teacher_gen": "x: 1\ngeneration:\n  temperature: 9"},
            "teacher_gen_v1.yaml line 3, generation.temperature: 9 is out of range",
        ),
        ({"teacher_gen": "generation: hot"}, "line 1, generation: must hold keys of its own"),
        ({"teacher_gen": "generation:\n  teacher_model: two words"}, "must be provider:model"),
        ({"teacher_gen": "judging:\n  judge_r_model: a b"}, "line 2, judging.judge_r_model"),
    ],
)
def test_what_cannot_be_used_is_refused_at_its_line(texts, words):
    with pytest.raises(InputError) as caught:
        import_guide_configs(name="guide", **texts)
    assert words in str(caught.value)


def test_an_empty_key_is_as_good_as_none():
    assert recipe_of(teacher_gen="generation:\n  teacher_model:\njudging:\n") == Recipe(
        name="guide"
    )


def test_a_stand_in_is_never_taken_without_a_word():
    assert [note for note in notes_of(filters="ban_citations: false") if "stand-in" in note] == [
        "No teacher is named: the offline stand-in answers (teacher.name). "
        "Name one in the recipe before it is used.",
        "No judge is named: the offline stand-in scores (judges). "
        "Name one in the recipe before it is used.",
    ]


def test_half_a_price_is_none():
    text = "tracking:\n  cost_per_1k_input: 1"
    assert recipe_of(teacher_gen=text).teacher.price is None
    assert any("a price needs both" in note for note in notes_of(teacher_gen=text))


def test_names_that_are_whole_are_left_alone():
    for name in ("vllm:Qwen/Qwen3-8B", "https://host/v1#m", "openrouter:a/b:free"):
        text = f"generation:\n  teacher_model: '{name}'"
        assert recipe_of(teacher_gen=text).teacher.name == name
    text = "generation:\n  teacher_model: meta/llama:free"
    assert recipe_of(teacher_gen=text).teacher.name == "openai:meta/llama:free"


KEYS = [
    ("distill_config", DISTILL_CONFIG),
    ("filters", FILTERS),
    ("teacher_gen", TEACHER_GEN),
]


@pytest.mark.parametrize(("file", "keys"), KEYS)
def test_every_known_key_is_taken_or_noted(file, keys):
    for key in keys:
        section, _, rest = key.partition(".")
        key_line = f"{section}:\n  {rest.replace('*', 'any')}: 0.5" if rest else f"{section}: 0.5"
        try:
            found = import_guide_configs(name="g", **{file: key_line})
        except InputError:
            continue  # a value of the wrong kind is refused, so the key was read
        told = any(note.kind == "ignored" for note in found.notes)
        assert told or found.recipe != Recipe(name="g"), key


@given(st.text(max_size=60), st.sampled_from(["distill_config", "filters", "teacher_gen"]))
def test_whatever_is_given_gives_a_recipe_or_a_clear_refusal(text, file):
    with contextlib.suppress(InputError):
        import_guide_configs(name="guide", **{file: text})
