"""Let student and base answer the questions of an evaluation, and measure their held-out loss.

    python -m training.runner.answer FOLDER

For each role of the spec, in its order:

1. Its weights and tokenizer are loaded.
2. The loss over the held-out rows is measured, on the assistant's tokens alone: `loss-ROLE.json`.
3. It answers the questions, a batch at a time, always with the likeliest next token:
   `answers-ROLE.jsonl`. What stands there already is not answered again.

The stop file is looked for before each batch. Exit code 0: done or stopped in order.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.logic.layout import EvaluationLayout
from training.logic.spec import AnswerSpec
from training.runner import environment
from training.runner.clear_errors import clear_errors
from training.runner.metrics_log import MetricsLog, append_lines, remove_half_line
from training.runner.publish import write_json

if TYPE_CHECKING:
    from training.runner.student import Student


def main(folder: Path) -> None:
    """Do what the folder's spec asks for; see the module's text."""
    environment.die_with_parents()
    layout = EvaluationLayout(folder)
    log = MetricsLog(layout.metrics)
    with clear_errors(log):
        spec = AnswerSpec.model_validate_json(layout.spec.read_bytes())
        is_offline = all(environment.is_local(source) for source in spec.models.values())
        environment.prepare_environment(threads=spec.threads, is_offline=is_offline)
        evaluate(spec, layout, log)


def evaluate(spec: AnswerSpec, layout: EvaluationLayout, log: MetricsLog) -> None:
    """Steps 1 to 3 of the module's text, for every role."""
    from training.runner import generation, held_out, render, student

    began = time.monotonic()
    device, dtype = generation.choose_device(spec)
    log.write(
        "begin",
        roles=list(spec.models),
        device=str(device),
        versions=environment.library_versions(),
    )
    questions = read_questions(layout.questions)
    why = "done"
    for role, source in spec.models.items():
        log.write("load", role=role)
        learner = student.load_model(source, revision=spec.revision, dtype=dtype)
        model: Any = learner.model
        model.to(device).eval()
        if layout.held_out.exists() and not layout.loss(role).exists():
            rendered = render.Rendered()
            rows = render.render_rows(
                render.read_rows(layout.held_out),
                learner.tokenizer,
                max_length=spec.max_length,
                rendered=rendered,
            )
            measured = held_out.measure_loss(learner.model, rows)
            write_json(layout.loss(role), {**measured, "too_long": rendered.too_long})
            log.write("loss", role=role, **measured)
        if not answer_questions(role, learner, questions, spec=spec, layout=layout, log=log):
            why = "stopped"
            break
    log.write("end", why=why, seconds=round(time.monotonic() - began, 1))


def read_questions(path: Path) -> list[dict[str, Any]]:
    """What is asked; nothing where there is no such file."""
    if not path.exists():
        return []
    # Not `splitlines` of a text: it breaks lines inside JSON, at U+2028 or U+0085.
    return [json.loads(line) for line in path.read_bytes().splitlines() if line.strip()]


def answer_questions(
    role: str,
    learner: Student,
    questions: list[dict[str, Any]],
    *,
    spec: AnswerSpec,
    layout: EvaluationLayout,
    log: MetricsLog,
) -> bool:
    """Answer what is not answered yet. False where the stop file ended it before."""
    from training.runner.generation import answer_batch

    path = layout.answers(role)
    remove_half_line(path)
    answered = {answer["sample_id"] for answer in read_questions(path)}
    open_questions = [item for item in questions if item["sample_id"] not in answered]
    done = len(questions) - len(open_questions)
    log.write("answer", role=role, done=done, total=len(questions))
    for start in range(0, len(open_questions), spec.batch_size):
        if layout.stop.exists():
            return False
        batch = open_questions[start : start + spec.batch_size]
        append_lines(path, answer_batch(learner, batch, spec))
        done += len(batch)
        log.write("answer", role=role, done=done, total=len(questions))
        print(f"{role}: {done:,} of {len(questions):,} answered", flush=True)
    return True


if __name__ == "__main__":
    main(Path(sys.argv[1]))
