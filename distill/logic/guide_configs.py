"""The guide's three config files as one recipe, and what of them was ignored or changed.

distill_config.yaml, filters.yaml and teacher_gen_v1.yaml; any of them may be missing. Where two
files say the same thing, teacher_gen_v1.yaml wins: it was the newer program's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import ValidationError

from distill.logic.document_yaml import Places, read_yaml
from distill.logic.errors import InputError
from distill.logic.guide_keys import DISTILL_CONFIG, FILTERS, TEACHER_GEN, Target
from distill.logic.recipe import Recipe

NoteKind = Literal["unknown", "ignored", "changed", "missing"]

_PROVIDERS = (
    *("openai", "openrouter", "anthropic", "gemini", "groq", "together"),
    *("vllm", "ollama", "offline", "http", "https"),
)
_DEFAULT_PROVIDER = "openai"
_JUDGE_MAX_TOKENS = 1024
"""What the guide's program asked of its judges, whatever the file said."""

_JUDGES = {"judge_f": "F", "judge_r": "R"}
_PRICES = {"price_input": "input_per_million", "price_output": "output_per_million"}


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that a person should know before saving: with file, line and key where it has any."""

    kind: NoteKind
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class GuideImport:
    """The recipe, and what became of the keys that are not simply in it."""

    recipe: Recipe
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class _Given:
    """A value and where it stands, such as "filters.yaml line 3, ban_citations"."""

    value: Any
    where: str


def import_guide_configs(
    *, name: str, distill_config: str = "", filters: str = "", teacher_gen: str = ""
) -> GuideImport:
    """The recipe that the texts describe; `name` is the new recipe's.

    Scores of 0 to 100 become 0 to 1, prices per 1,000 tokens become prices per million, a model
    without a provider is OpenAI's. Raises InputError naming file, line and key where a value cannot
    be used, and where no text is given.
    """
    files = (
        ("distill_config.yaml", distill_config, DISTILL_CONFIG),
        ("filters.yaml", filters, FILTERS),
        ("teacher_gen_v1.yaml", teacher_gen, TEACHER_GEN),
    )
    if not any(text.strip() for _, text, _ in files):
        raise InputError("Give at least one of the three files.")
    reader = _Reader()
    for file, text, keys in files:
        if text.strip():
            reader.read(file, text, keys)
    return _Assembly(reader).finish(name)


class _Reader:
    """Sorts the keys of the files into values that are taken and notes about the others."""

    def __init__(self) -> None:
        self.taken: dict[str, list[_Given]] = {}
        self.notes: list[Note] = []

    def read(self, file: str, text: str, keys: Mapping[str, Target | str]) -> None:
        try:
            content, places = read_yaml(text)
        except InputError as error:
            raise InputError(f"{file}: {error}") from error
        for key, value, where in _leaves(file, content, places, keys):
            fate = keys.get(key) or keys.get(f"{key.partition('.')[0]}.*")
            if fate is None:
                self.notes.append(Note("unknown", f"{where}: {_unknown(key, keys)}"))
            elif isinstance(fate, str):
                self.notes.append(Note("ignored", f"{where}: ignored, {fate}"))
            elif value is not None:
                self.taken.setdefault(fate.name, []).append(_Given(value, where))


def _leaves(
    file: str, content: Mapping[Any, Any], places: Places, keys: Mapping[str, Target | str]
) -> Iterator[tuple[str, Any, str]]:
    sections = {key.partition(".")[0] for key in keys if "." in key}
    for section, held in content.items():
        where = f"{file} line {places.line_of((section,))}, {section}"
        if section not in sections:
            yield str(section), held, where
        elif isinstance(held, Mapping):
            for key, value in held.items():
                line = places.line_of((section, key))
                yield f"{section}.{key}", value, f"{file} line {line}, {section}.{key}"
        elif held is not None:
            raise InputError(f"{where}: must hold keys of its own, not {held!r:.40}")


def _unknown(key: str, keys: Mapping[str, Target | str]) -> str:
    last = key.rpartition(".")[2]
    # In the wrong section, or in none: the last part still tells what was meant.
    near = [one for one in keys if one.rpartition(".")[2] == last][:1]
    known = [*keys, *(one.partition(".")[0] for one in keys)]
    near = near or get_close_matches(key, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(keys)}"
    return f"unknown, ignored; {hint}"


class _Assembly:
    """Makes the recipe's document of what was taken, and remembers which line is behind what."""

    def __init__(self, reader: _Reader) -> None:
        self._taken = reader.taken
        self._notes = reader.notes
        self._behind: dict[tuple[str | int, ...], str] = {}

    def finish(self, name: str) -> GuideImport:
        document: dict[str, Any] = {
            "name": name,
            "teacher": self._teacher(),
            "rules": self._rules(),
            "gate": self._gate(),
        }
        if judges := self._judges():
            document["judges"] = judges
        try:
            recipe = Recipe.model_validate(document)
        except ValidationError as error:
            raise InputError(self._explain(error)) from error
        return GuideImport(recipe, tuple(self._notes))

    def _teacher(self) -> dict[str, Any]:
        teacher: dict[str, Any] = {}
        if name := self._one("teacher", ("teacher", "name")):
            teacher["name"] = self._model(name)
        else:
            self._missing("No teacher is named: the offline stand-in answers (teacher.name)")
        for key in ("temperature", "max_tokens", "slots"):
            if given := self._one(key, ("teacher", key)):
                teacher[key] = given.value
        if price := self._price():
            teacher["price"] = price
        return teacher

    def _price(self) -> dict[str, float] | None:
        given = {
            field: one
            for key, field in _PRICES.items()
            if (one := self._one(key, ("teacher", "price", field)))
        }
        if len(given) == 1:
            (one,) = given.values()
            text = f"{one.where}: ignored, a price needs both cost_per_1k_input and …_output"
            self._notes.append(Note("ignored", text))
            return None
        return {field: self._scaled(one, _per_million) for field, one in given.items()} or None

    def _rules(self) -> dict[str, Any]:
        rules: dict[str, Any] = {}
        for key in ("min_chars", "no_action_verb", "citation"):
            if given := self._one(key, ("rules", key)):
                rules[key] = given.value
        if given := self._one("action_verbs", ("rules", "action_verbs")):
            if not isinstance(given.value, list):
                raise InputError(f"{given.where}: must be a list of verbs")
            rules["action_verbs"] = [str(verb).strip().lower() for verb in given.value]
        return rules

    def _gate(self) -> dict[str, Any]:
        thresholds = self._taken.get("threshold", [])
        if not thresholds:
            return {}
        shares = {one.where: self._scaled(one, _share) for one in thresholds}
        where = max(shares, key=lambda place: shares[place])
        self._behind["gate", "min_mean"] = where
        if len(set(shares.values())) > 1:
            text = f"{where}: counts alone, as the highest: the gate asks it of the judges' mean"
            self._notes.append(Note("changed", text))
        return {"min_mean": shares[where]}

    def _judges(self) -> list[dict[str, Any]]:
        temperature = self._one("judge_temperature", ("judges", 0, "temperature"))
        judges: list[dict[str, Any]] = []
        for key, name in _JUDGES.items():
            if given := self._one(key, ("judges", len(judges), "teacher")):
                judge = {"name": name, "teacher": self._model(given)}
                further = {"temperature": temperature.value} if temperature else {}
                judges.append({**judge, "max_tokens": _JUDGE_MAX_TOKENS, **further})
        if not judges:
            if temperature:
                self._notes.append(
                    Note("ignored", f"{temperature.where}: ignored, without a judge")
                )
            self._missing("No judge is named: the offline stand-in scores (judges)")
        return judges

    # --- values ---

    def _one(self, key: str, place: tuple[str | int, ...]) -> _Given | None:
        """The value of the last file that gives it; another one in an earlier file is noted."""
        *earlier, last = self._taken.get(key, [None])
        for one in earlier:
            if one and last and one.value != last.value:
                text = f"{one.where}: ignored, {last.where} says {last.value!s:.60}"
                self._notes.append(Note("ignored", text))
        if last:
            self._behind[place] = last.where
        return last

    def _model(self, given: _Given) -> str:
        model = str(given.value).strip()
        provider, sign, rest = model.partition(":")
        if sign and provider in _PROVIDERS:
            return model
        provider, slash, rest = model.partition("/")
        if slash and provider in _PROVIDERS:
            named = f"{provider}:{rest}"
        else:
            named = f"{_DEFAULT_PROVIDER}:{model}"
        self._notes.append(Note("changed", f"{given.where}: {model} is {named} here"))
        return named

    def _scaled(self, given: _Given, scale: Callable[[float], float]) -> float:
        value = given.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"{given.where}: must be a number, not {value!r:.40}")
        scaled = scale(value)
        if scaled != value:
            self._notes.append(Note("changed", f"{given.where}: {value:g} is {scaled:g} here"))
        return scaled

    def _missing(self, text: str) -> None:
        self._notes.append(Note("missing", f"{text}. Name one in the recipe before it is used."))

    def _explain(self, error: ValidationError) -> str:
        lines = []
        for fault in error.errors(include_url=False):
            place: tuple[str | int, ...] = fault["loc"]
            while place and place not in self._behind:
                place = place[:-1]
            where = self._behind.get(place) or ".".join(map(str, fault["loc"])) or "recipe"
            lines.append(f"{where}: {fault['msg'].removeprefix('Value error, ')}")
        return "\n".join(lines)


def _share(score: float) -> float:
    """A score of 0 to 100 as one of 0 to 1; what is 1 or less is on that scale already."""
    return score if score <= 1 else round(score / 100, 10)


def _per_million(per_thousand: float) -> float:
    return round(per_thousand * 1000, 10)
