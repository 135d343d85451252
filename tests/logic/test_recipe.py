from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distill.logic.errors import InputError
from distill.logic.gate import GateConfig
from distill.logic.prices import FREE, TokenPrice
from distill.logic.recipe import (
    ExportConfig,
    JudgeConfig,
    Recipe,
    TeacherConfig,
    default_recipe,
    dump_recipe,
    load_recipe,
    recipe_hash,
)
from distill.logic.regeneration import RegenerationConfig
from distill.logic.retry import RetryPolicy
from distill.logic.rubric import Dimension, Rubric
from distill.logic.rules import RulesConfig
from distill.logic.templates import SHIPPED, Template

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
shares = st.floats(0, 1)
prices = st.none() | st.builds(
    TokenPrice, input_per_million=st.floats(0, 1e6), output_per_million=st.floats(0, 1e6)
)
teacher_names = st.sampled_from(["offline:extractive", "openrouter:meta/llama:free", "vllm:a"])


@st.composite
def recipes(draw):
    templates = {
        name: Template(
            name=name,
            system=draw(texts.filter(lambda text: "{" not in text)),
            user="{text}",
            reply_fields=("a",),
            reply_format=draw(st.sampled_from(["json", "text"])),
        )
        for name in draw(st.sets(texts.filter(bool), min_size=1, max_size=3))
    }
    dimensions = sorted(draw(st.sets(texts.filter(bool), min_size=1, max_size=3)))
    return Recipe(
        name=draw(texts.filter(lambda text: 0 < len(text) <= 100)),
        teacher=TeacherConfig(
            name=draw(teacher_names), temperature=draw(st.floats(0, 2)), price=draw(prices)
        ),
        default_template=draw(st.sampled_from(sorted(templates))),
        templates=templates,
        rules=RulesConfig(min_chars=draw(st.integers(0, 1000)), citation=draw(st.booleans())),
        judges=draw(
            st.sampled_from([(), (JudgeConfig(),), (JudgeConfig(), JudgeConfig(name="R"))])
        ),
        rubric=Rubric(
            version=draw(texts),
            dimensions=tuple(Dimension(name=name, description=draw(texts)) for name in dimensions),
        ),
        gate=GateConfig(
            min_mean=draw(shares),
            min_scores=draw(st.dictionaries(st.sampled_from(dimensions), shares)),
        ),
        regeneration=RegenerationConfig(instruction=draw(texts)),
        export=ExportConfig(policy=draw(st.sampled_from(["reviewed", "gate"]))),
        retry=RetryPolicy(base_seconds=draw(st.floats(0, 60))),
    )


@given(recipes())
def test_a_recipe_survives_yaml(recipe):
    again = load_recipe(dump_recipe(recipe))
    assert again == recipe
    assert recipe_hash(again) == recipe_hash(recipe)


@given(st.text())
def test_no_text_makes_loading_raise_anything_but_input_error(text):
    with contextlib.suppress(InputError):
        load_recipe(text)


def test_the_empty_document_is_the_default_recipe():
    assert load_recipe("") == load_recipe("# nothing\n") == default_recipe()
    assert default_recipe().templates == SHIPPED


def test_the_default_recipe_has_the_guides_values():
    recipe = default_recipe()
    assert recipe.teacher.name == "offline:extractive"
    assert recipe.teacher.parameters == {"temperature": 0.2, "max_tokens": 1024}
    assert [judge.teacher for judge in recipe.judges] == ["offline:rubric"]
    assert recipe.judges[0].parameters == {"temperature": 0.0, "max_tokens": 512}
    assert (recipe.gate.min_mean, recipe.rules.min_chars) == (0.80, 120)


def test_long_prompts_are_dumped_as_blocks_that_people_can_read():
    assert "    user: |-\n      Propose one new hypothesis" in dump_recipe(default_recipe())


def test_any_change_changes_the_hash():
    recipe = default_recipe()
    hashes = {
        recipe_hash(recipe),
        recipe_hash(recipe.model_copy(update={"gate": GateConfig(min_mean=0.81)})),
        recipe_hash(recipe.model_copy(update={"teacher": TeacherConfig(draws=2)})),
    }
    assert len(hashes) == 3
    assert all(len(value) == 64 for value in hashes)


def test_the_order_of_templates_does_not_change_the_hash():
    backwards = {name: SHIPPED[name] for name in reversed(list(SHIPPED))}
    assert recipe_hash(Recipe(templates=backwards)) == recipe_hash(Recipe())


def test_only_the_offline_models_are_free_without_a_price():
    price = TokenPrice(input_per_million=1, output_per_million=2)
    assert TeacherConfig().known_price == JudgeConfig().known_price == FREE
    assert TeacherConfig(price=price).known_price == price
    assert TeacherConfig(name="openai:gpt-4o").known_price is None
    assert JudgeConfig(teacher="openai:gpt-4o").known_price is None


def test_a_sample_gets_its_own_template_else_the_default():
    recipe = default_recipe()
    assert recipe.template_for("methodology").name == "methodology"
    assert recipe.template_for("").name == recipe.template_for(None).name == "pair"
    with pytest.raises(InputError, match='no template "poem"; it has pair, hypothesis'):
        recipe.template_for("poem")


def test_a_template_key_must_be_its_name():
    with pytest.raises(ValidationError, match="its name is pair"):
        Recipe(templates={"pair": SHIPPED["pair"], "x": SHIPPED["pair"]})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("gate:\n  min_mean: 80", "line 2, gate.min_mean: 80 is out of range, allowed is 0 to 1"),
        (
            "teacher:\n  draws: 1\n  tempratur: 1",
            'line 3, teacher: unknown key "tempratur", did you mean "temperature"?',
        ),
        ("teecher: 1", 'line 1: unknown key "teecher", did you mean "teacher"?'),
        ("teacher: {name: gpt-4o}", "'gpt-4o' must be provider:model, such as openai:gpt-4o"),
        ("teacher: {name: 'OpenAI:x'}", "must be provider:model"),
        ("teacher: {temperature: true}", "teacher.temperature: must be a number from 0 to 2"),
        ("teacher: {draws: 0}", "teacher.draws: 0 is out of range, allowed is 1 to 16"),
        ("name: 3", "line 1, name: Input should be a valid string"),
        ("judges:\n- name: F\n- name: F", "judges: each needs a name of its own"),
        ("judges:\n- name: F\n- temperature: 3", "line 3, judges.1.temperature: 3 is out of"),
        ("default_template: poem", "default_template is poem, known are pair, hypothesis"),
        ("gate: {min_scores: {beauty: 0.5}}", "gate.min_scores.beauty: the rubric has plausib"),
        ("templates: [1]", "templates: Input should be a valid dictionary"),
        ("templates: {x: 1}", "line 1, templates.x"),
        (
            "name: x\nteacher:\n  slots: 4\n  drawz: 2\n\n  temprature: 1",
            '- line 4, teacher: unknown key "drawz", did you mean "draws"?\n'
            '- line 6, teacher: unknown key "temprature", did you mean "temperature"?',
        ),
        (
            "default_template: x\ntemplates:\n  x:\n    user: '{context}'\n    reply_fields: [a]",
            "line 3, templates.x: user must hold {text} once, alone on its line",
        ),
        ("rules: {action_verbs: [Mix up]}", "must be one lower-case word in its base form"),
        ("export: {policy: silver}", "export.policy: Input should be 'reviewed', 'gate' or 'gold'"),
    ],
)
def test_a_faulty_recipe_is_refused_with_line_field_and_remedy(text, complaint):
    with pytest.raises(InputError) as caught:
        load_recipe(text)
    assert complaint in str(caught.value)


def test_many_faults_are_cut_short():
    verbs = "\n".join(["  - No Verb"] * 15)
    with pytest.raises(InputError, match="and 5 more"):
        load_recipe(f"rules:\n  action_verbs:\n{verbs}")
