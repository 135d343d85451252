"""Papers into the guide's table of teacher inputs, without a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from distill.logic.columns import Mapping
from distill.logic.errors import InputError
from distill.logic.samples import SampleDraft, sample_key, text_key
from distill.logic.split import source_group, split_of
from distill.logic.templates import SHIPPED, Template
from distill.services.files import atomic_path
from distill.services.ingest.preview import Problem, choose_mapping, draft_row
from distill.services.ingest.readers import counted_in, read_rows

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_TEMPLATE = "pair"
_COLUMNS = (
    "sample_id",
    "source_id",
    "split",
    "domain",
    "title",
    "template_name",
    "user_prompt",
    "context",
    "template_prompt",
    "system_prompt",
    "source_file",
    "generated_at",
)
_BATCH_ROWS = 1000


@dataclass(slots=True)
class Prepared:
    """What became of the rows so far; the first refused ones with their reasons."""

    num_read: int = 0
    num_written: int = 0
    num_duplicate: int = 0
    num_refused: int = 0
    first_refused: list[Problem] = field(default_factory=list)


def prepare_inputs(
    *,
    src: Path,
    dst: Path,
    mapping: Mapping | None = None,
    templates: Sequence[str] = (),
    on_progress: Callable[[Prepared], None] | None = None,
) -> Prepared:
    """Write a Parquet file with a row for each sample and template.

    Without `templates` a row keeps the one that its file names, else gets `pair`. The same source
    gives the same bytes: `generated_at` is the time of the source file. Nothing stands under
    `dst` before it is whole. Raises `InputError` where not one row can be used.
    """
    chosen = [_template(name) for name in templates]
    mapping = choose_mapping(src, src.name, mapping)
    prepared = Prepared()
    with atomic_path(dst) as draft:
        _write(draft, _table_rows(src, mapping, chosen, prepared), prepared, on_progress)
        if not prepared.num_written:
            raise InputError(_nothing_useful(src, prepared))
    return prepared


def _template(name: str) -> Template:
    if name not in SHIPPED:
        raise InputError(f"There is no template {name!r}; there are {', '.join(SHIPPED)}.")
    return SHIPPED[name]


def _table_rows(
    src: Path, mapping: Mapping, chosen: Sequence[Template], prepared: Prepared
) -> Iterator[dict[str, object]]:
    # 16 bytes for each sample: the one thing that grows with the file.
    seen: set[bytes] = set()
    shared = {"source_file": src.name, "generated_at": src.stat().st_mtime}
    for row in read_rows(src, src.name):
        prepared.num_read += 1
        drafted = draft_row(row, mapping)
        if isinstance(drafted, Problem):
            prepared.num_refused += 1
            if len(prepared.first_refused) < 20:
                prepared.first_refused.append(drafted)
            continue
        for template in chosen or [_own_template(drafted)]:
            cells = _cells(drafted, template)
            key = bytes.fromhex(str(cells["sample_id"]))
            if key in seen:
                prepared.num_duplicate += 1
                continue
            seen.add(key)
            yield {**cells, **shared}


def _own_template(draft: SampleDraft) -> Template:
    """The row's own; one of that name may stand in the recipe that the file is meant for."""
    name = draft.template_name or DEFAULT_TEMPLATE
    return SHIPPED.get(name) or SHIPPED[DEFAULT_TEMPLATE].model_copy(update={"name": name})


def _cells(draft: SampleDraft, template: Template) -> dict[str, object]:
    draft = replace(draft, template_name=template.name)
    is_named = draft.source_key != text_key(draft.text)
    group = source_group(draft.source_key if is_named else draft.text)
    return {
        "sample_id": sample_key(
            text=draft.text,
            instruction=draft.instruction,
            domain=draft.domain,
            template_name=draft.template_name,
            title=draft.title,
        ),
        "source_id": draft.source_key,
        "split": split_of(group),
        "domain": draft.domain,
        "title": draft.title,
        "template_name": draft.template_name,
        "user_prompt": draft.instruction if draft.has_passage else draft.text,
        "context": draft.text if draft.has_passage else "",
        # The guide's name for the passage.
        "template_prompt": template.user.replace("{text}", "{context}"),
        "system_prompt": template.system,
    }


def _write(
    draft: Path,
    rows: Iterator[dict[str, object]],
    prepared: Prepared,
    on_progress: Callable[[Prepared], None] | None,
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema()
    with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
        while batch := list(islice(rows, _BATCH_ROWS)):
            writer.write_table(pa.Table.from_pylist(_in_order(batch), schema=schema))
            prepared.num_written += len(batch)
            if on_progress:
                on_progress(prepared)


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = {"generated_at": pa.float64()}
    return pa.schema([(name, types.get(name, pa.string())) for name in _COLUMNS])


def _in_order(rows: Iterable[dict[str, object]]) -> list[dict[str, object]]:
    return [{name: row[name] for name in _COLUMNS} for row in rows]


def _nothing_useful(src: Path, prepared: Prepared) -> str:
    if not prepared.first_refused:
        return f"{src.name} holds no rows. Was it copied whole?"
    first = prepared.first_refused[0]
    count = f"none of its {prepared.num_read:,} rows can be used"
    return f"{src.name}: {count}. {counted_in(src.name).title()} {first.line}: {first.message}"
