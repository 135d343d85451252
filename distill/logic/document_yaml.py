"""YAML in and out, for documents that people write by hand.

Safer than plain safe loading: a key given twice, an alias, a tag, a number beyond 64 bits, a NUL and
half a surrogate pair are refused. The first hides a value, the second can grow a small file without
end, PyYAML itself breaks on the next two, and no database text holds the last.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from distill.logic.documents import UNKNOWN_KEY, Document
from distill.logic.errors import InputError

MAX_CHARS = 200_000
_MAX_ERRORS = 10
_LARGEST = 2**63

D = TypeVar("D", bound=Document)


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # a gap in the stubs
        if self.check_event(yaml.AliasEvent):
            raise _fault("an alias (*name) is not allowed here", event.start_mark)
        if event.tag is not None:
            raise _fault("a tag (!name) is not allowed here", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - PyYAML's signature
    ) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _fault("a key must be a text", key.start_mark)
            if key.value in seen:
                raise _fault(f'the key "{key.value}" stands twice', key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)

    def construct_scalar(self, node: Any) -> Any:
        value = super().construct_scalar(node)
        if isinstance(value, str) and "\0" in value:
            raise _fault("a text holds a NUL character", node.start_mark)
        if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise _fault("a text holds half a surrogate pair", node.start_mark)
        return value


def _construct_date(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    number = int(loader.construct_yaml_int(node))
    if abs(number) >= _LARGEST:
        raise _fault("a number is too large", node.start_mark)
    return number


def _construct_float(loader: _Loader, node: yaml.ScalarNode) -> float:
    try:
        return float(loader.construct_yaml_float(node))
    except OverflowError:
        # To YAML 1:00:00.0 is a number, and may have any count of places.
        raise _fault("a number is too large", node.start_mark) from None


# A date is a text to us.
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _construct_date)
_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Long texts as blocks that people can read, where YAML gives them back unchanged."""
    lines = text.split("\n")
    style = None
    if not all(line.isprintable() for line in lines):
        style = '"'  # the other styles take U+0085 for a line break
    elif len(lines) > 1:
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_list(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.SequenceNode:
    """Lists of words on few lines."""
    is_words = all(isinstance(value, str) and len(value) < 40 for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=is_words)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(list, _represent_list)


@dataclass(frozen=True, slots=True)
class Places:
    """Where in the file each field stands."""

    root: yaml.Node | None

    def line_of(self, place: tuple[int | str, ...]) -> int:
        """The line (from 1) of a field, or of the nearest one around it that is in the file."""
        node = self.root
        line = 1 if node is None else node.start_mark.line + 1
        for part in place:
            node, line = _step_into(node, part, line)
        return line


def _step_into(node: yaml.Node | None, part: int | str, line: int) -> tuple[yaml.Node | None, int]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part].start_mark.line + 1
    return None, line


def read_yaml(text: str) -> tuple[dict[str, Any], Places]:
    """The mapping that the text holds, and where its fields stand. InputError names the line."""
    if len(text) > MAX_CHARS:
        raise InputError(f"The document is too long: at most {MAX_CHARS:,} characters.")
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        content = loader.construct_document(root) if root is not None else {}
    except yaml.MarkedYAMLError as error:
        raise InputError(_explain(error)) from error
    except (yaml.YAMLError, ValueError, RecursionError, UnicodeError) as error:
        raise InputError(f"The document is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise InputError("The document must be a mapping, with lines such as `name: demo`.")
    return content, Places(root)


def load_document(kind: type[D], text: str, *, what: str) -> D:
    """The document that the YAML describes. InputError names line, field and remedy.

    `what` is the document's name in the error, such as "recipe".
    """
    content, places = read_yaml(text)
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise InputError(_explain_faults(error, places, what)) from error


def write_yaml(content: dict[str, Any]) -> str:
    """The mapping as YAML: keys in the given order, long texts as blocks, real letters."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _fault(problem: str, mark: yaml.Mark) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _explain(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
    return f"The document is not valid YAML: {where}: {error.problem or error.context}"


def _explain_faults(error: ValidationError, places: Places, what: str) -> str:
    faults = error.errors(include_url=False)
    lines = [line for fault in faults for line in _explain_one(fault, places)]
    if len(lines) > _MAX_ERRORS:
        lines[_MAX_ERRORS:] = [f"and {len(lines) - _MAX_ERRORS} more"]
    return f"The {what} cannot be used:\n" + "\n".join(f"- {line}" for line in lines)


def _explain_one(fault: ErrorDetails, places: Places) -> list[str]:
    place = fault["loc"]
    field = ".".join(map(str, place))
    if fault["type"] == UNKNOWN_KEY:
        told = [((*place, key), hint) for key, hint in fault["ctx"]["by_key"]]
    else:
        told = [(place, fault["msg"].removeprefix("Value error, "))]
    return [
        f"line {places.line_of(where)}{field and f', {field}'}: {message}"
        for where, message in told
    ]
