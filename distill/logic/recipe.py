"""The recipe: the whole configuration of a pipeline in one validated, immutable document."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import AfterValidator, Field, field_validator, model_validator

from distill.logic.document_yaml import load_document, write_yaml
from distill.logic.documents import Document, between
from distill.logic.errors import InputError
from distill.logic.gate import GateConfig, Share
from distill.logic.limits import Limits
from distill.logic.prices import FREE, TokenPrice
from distill.logic.regeneration import RegenerationConfig
from distill.logic.retry import Deadlines, RetryPolicy
from distill.logic.rubric import Rubric
from distill.logic.rules.base import RulesConfig
from distill.logic.screening import ScreeningConfig
from distill.logic.templates import SHIPPED, Template


def _check_teacher_name(name: str) -> str:
    provider, _colon, model = name.partition(":")
    if not provider or not model or provider != provider.strip().lower() or set(name) & set(" \n"):
        raise ValueError(f"{name!r} must be provider:model, such as openai:gpt-4o")
    return name


TeacherName = Annotated[str, AfterValidator(_check_teacher_name)]
Temperature = Annotated[float, between(0, 2)]
MaxTokens = Annotated[int, between(1, 1_000_000)]


class _ModelConfig(Document):
    """What teacher and judges share: how a model is asked, and how fast."""

    temperature: Temperature = 0.0
    max_tokens: MaxTokens = 1024
    structured_output: Literal["auto", "schema", "json", "prompt"] = "auto"
    """How the reply's form is asked for: by JSON schema, as any JSON object, in the prompt alone;
    `auto` takes the strictest that the provider has."""
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    """For reasoning models; None leaves it to the provider."""
    limits: Limits = Limits()
    price: TokenPrice | None = None
    """Goes before the price list's."""

    @property
    def parameters(self) -> dict[str, object]:
        """What goes into the request beside the messages, as the protocol spells it."""
        chosen: dict[str, object] = {"temperature": self.temperature, "max_tokens": self.max_tokens}
        if self.reasoning_effort is not None:
            chosen["reasoning_effort"] = self.reasoning_effort
        return chosen


class TeacherConfig(_ModelConfig):
    """Who writes completions: `draws` per sample; `slots` requests at once, over all workers."""

    name: TeacherName = "offline:extractive"
    temperature: Temperature = 0.2
    max_tokens: MaxTokens = 1024
    draws: Annotated[int, between(1, 16)] = 1
    slots: Annotated[int, between(1, 65_536)] = 64

    @property
    def known_price(self) -> TokenPrice | None:
        """The price to reckon with: the given one, zero for `offline:`, else None (unpriced)."""
        return _known_price(self.name, self.price)


class JudgeConfig(_ModelConfig):
    """Who scores completions. `name` stands with the scores; `teacher` is the model asked."""

    name: Annotated[str, Field(min_length=1, max_length=40)] = "F"
    teacher: TeacherName = "offline:rubric"
    temperature: Temperature = 0.0
    max_tokens: MaxTokens = 512
    role: Annotated[str, Field(max_length=2_000)] = ""
    """What this judge looks at, told before its dimensions: facts and mechanism (F), or reasoning,
    method and safety (R)."""
    dimensions: tuple[str, ...] = ()
    """Those of the rubric that it scores; all where none is named."""
    only_near: Share | None = None
    """A second opinion: asked only where the mean of the other judges is so near to
    `gate.min_mean`. None: always asked."""

    @property
    def known_price(self) -> TokenPrice | None:
        """The price to reckon with: the given one, zero for `offline:`, else None (unpriced)."""
        return _known_price(self.teacher, self.price)


def _known_price(teacher: str, price: TokenPrice | None) -> TokenPrice | None:
    return FREE if price is None and teacher.startswith("offline:") else price


class ExportConfig(Document):
    """`reviewed` takes what a person accepted, `gold` what several people agreed on or one settled,
    `gate` what passed the gate. `configs` are the forms that are written, all where none is named."""

    policy: Literal["reviewed", "gate", "gold"] = "reviewed"
    include_system: bool = True
    configs: tuple[
        Literal["messages", "prompt_completion", "alpaca", "preference", "rejected"], ...
    ] = ()
    rows_per_shard: Annotated[int, between(1_000, 10_000_000)] = 250_000


class Recipe(Document):
    """Frozen; editing makes a new version. A given `templates` replaces the shipped ones."""

    name: Annotated[str, Field(min_length=1, max_length=100)] = "default"
    teacher: TeacherConfig = TeacherConfig()
    default_template: str = "pair"
    templates: Mapping[str, Template] = SHIPPED
    rules: RulesConfig = RulesConfig()
    judges: tuple[JudgeConfig, ...] = (JudgeConfig(),)
    rubric: Rubric = Rubric()
    gate: GateConfig = GateConfig()
    regeneration: RegenerationConfig = RegenerationConfig()
    screening: ScreeningConfig = ScreeningConfig()
    export: ExportConfig = ExportConfig()
    retry: RetryPolicy = RetryPolicy()
    deadlines: Deadlines = Deadlines()

    @field_validator("templates", mode="before")
    @classmethod
    def _name_templates(cls, given: Any) -> Any:
        """In a document a template's key is its name."""
        if not isinstance(given, Mapping):
            return given
        return {
            key: {"name": key, **value} if isinstance(value, Mapping) else value
            for key, value in given.items()
        }

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key, template in self.templates.items():
            if key != template.name:
                raise ValueError(f"templates.{key}: its name is {template.name}")
        if self.default_template not in self.templates:
            known = ", ".join(self.templates)
            raise ValueError(f"default_template is {self.default_template}, known are {known}")
        names = [judge.name for judge in self.judges]
        if len(set(names)) < len(names):
            raise ValueError("judges: each needs a name of its own")
        self._check_panel()
        for dimension in self.gate.min_scores:
            if dimension not in self.rubric.names:
                known = ", ".join(self.rubric.names)
                raise ValueError(f"gate.min_scores.{dimension}: the rubric has {known}")
        return self

    def _check_panel(self) -> None:
        """Each dimension of the rubric is asked of some judge that is always asked."""
        always: set[str] = set()
        for judge in self.judges:
            if unknown := [one for one in judge.dimensions if one not in self.rubric.names]:
                known = ", ".join(self.rubric.names)
                raise ValueError(
                    f"judges.{judge.name}.dimensions: {', '.join(unknown)}; the rubric has {known}"
                )
            if judge.only_near is None:
                always.update(judge.dimensions or self.rubric.names)
        missing = [name for name in self.rubric.names if name not in always]
        if self.judges and missing:
            raise ValueError(
                f"judges: none is always asked for {', '.join(missing)}; name it in the dimensions "
                "of a judge without only_near, or take it out of the rubric"
            )

    def rubric_of(self, judge: JudgeConfig) -> Rubric:
        """The rubric as this judge is asked for it."""
        return self.rubric.only(judge.dimensions)

    def template_for(self, template_name: str | None) -> Template:
        """The template of a sample: its own, else the default. InputError for an unknown one."""
        name = template_name or self.default_template
        if name not in self.templates:
            known = ", ".join(self.templates)
            raise InputError(f'Recipe "{self.name}" has no template "{name}"; it has {known}.')
        return self.templates[name]


def default_recipe() -> Recipe:
    """The recipe of a project that wrote none: the offline teacher and judge, free of charge."""
    return Recipe()


def load_recipe(text: str) -> Recipe:
    """The recipe that a YAML document describes. InputError names line, field and remedy."""
    return load_document(Recipe, text, what="recipe")


def dump_recipe(recipe: Recipe) -> str:
    """The whole recipe as YAML, defaults included; `load_recipe` gives the same recipe again."""
    return write_yaml(recipe.model_dump(mode="json"))


def recipe_hash(recipe: Recipe) -> str:
    """SHA-256 (hex) over the whole recipe as JSON with sorted keys: equal recipes, equal hash."""
    content = orjson.dumps(recipe.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()
