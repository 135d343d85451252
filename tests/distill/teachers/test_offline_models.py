"""The offline models as pure functions: valid on any text, better when told what was wrong."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.logic.rubric import Rubric, build_judge_messages, parse_judgement
from distill.logic.templates import SHIPPED, build_messages, parse_reply
from distill.logic.types import Scores
from distill.teachers.offline.answer import write_content
from distill.teachers.offline.misbehave import Fault
from distill.teachers.offline.prompt import Ask, read_ask
from distill.teachers.offline.rubric import NEUTRAL, judge

DIMENSIONS = ("plausibility", "falsifiability", "method_rigour", "reproducibility", "grounding")
REPLY_PAIR = 'Reply with a JSON object with exactly these keys: "hypothesis", "methodology".'
REPLY_SCORES = (
    '"scores" has exactly these keys, each a number from 0 to 1: '
    + ", ".join(f'"{name}"' for name in DIMENSIONS)
    + "."
)
SOURCES = Path(__file__).resolve().parents[3] / "distill" / "demo" / "passages.jsonl"


def passages() -> list[str]:
    return [json.loads(line)["text"] for line in SOURCES.read_text().splitlines()]


def reply(model: str, prompt: str, fault: Fault | None = None, **parameters: int) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": prompt}], **parameters}
    request_hash = sha256(json.dumps(body).encode()).hexdigest()
    return write_content(body, request_hash, fault).text


def pair(passage: str, more: str = "", seed: int = 0) -> dict[str, str]:
    prompt = f"<passage>\n{passage}\n</passage>\n{more}\n\n{REPLY_PAIR}"
    answer = json.loads(reply("extractive", prompt, seed=seed))
    assert isinstance(answer, dict)
    return answer


def scores(passage: str, answer: dict[str, str]) -> dict[str, float]:
    text = f"Hypothesis:\n{answer['hypothesis']}\n\nMethodology:\n{answer['methodology']}"
    prompt = f"<passage>\n{passage}\n</passage>\n<answer>\n{text}\n</answer>\n{REPLY_SCORES}"
    judged = json.loads(reply("rubric", prompt))
    assert isinstance(judged["scores"], dict)
    return judged["scores"]


def mean(values: dict[str, float]) -> float:
    return sum(values.values()) / len(values)


TEXTS = st.text(max_size=400) | st.text(
    alphabet=st.sampled_from(list('abc TheofA1.,;()[]%-\n<>/"\\$')), max_size=400
)


@settings(deadline=None)
@given(TEXTS, st.sampled_from(list(Fault)))
def test_any_passage_gets_a_valid_reply(passage, fault):
    answer = pair(passage)
    assert answer.keys() == {"hypothesis", "methodology"}
    assert all(text.strip() for text in answer.values())
    prompt = f"<passage>\n{passage}\n</passage>\n\nReply with plain text only: the methodology."
    assert reply("extractive", prompt).strip()
    assert isinstance(reply("extractive", prompt, fault), str)


@settings(deadline=None)
@given(TEXTS, TEXTS, st.lists(st.text(max_size=20), max_size=4))
def test_any_answer_is_judged_within_bounds(passage, answer, names):
    keys = ", ".join(json.dumps(name) for name in names)
    ask = f'<passage>\n{passage}\n</passage>\n<answer>\n{answer}\n</answer>\n"scores" has exactly these keys: {keys}.'
    judged = json.loads(reply("rubric", ask))
    assert judged.keys() == {"scores", "rationale", "flags"}
    assert judged["scores"]
    assert all(0 <= score <= 1 for score in judged["scores"].values())


def test_most_first_attempts_pass_the_gate_and_some_do_not():
    means = [mean(scores(text, pair(text, seed=seed))) for text in passages() for seed in range(2)]
    share = sum(value >= 0.8 for value in means) / len(means)
    assert 0.65 <= share <= 0.9


def test_an_attempt_with_reasons_is_better():
    told = (
        "<rejected_answer>\nIt may matter.\n</rejected_answer>\n\n"
        "Reasons:\n- low_score: the mean is 0.6\n- vague_method: no controls"
    )
    means = [mean(scores(text, pair(text, told))) for text in passages()]
    assert min(means) >= 0.8


def test_a_methodology_has_numbered_steps_and_no_citations():
    for text in passages()[:20]:
        answer = pair(text, "<rejected_answer>\nno\n</rejected_answer>")
        steps = answer["methodology"].split("\n")
        assert len(steps) >= 5
        assert all(re.match(rf"{place}\. [A-Z]", step) for place, step in enumerate(steps, 1))
        assert not re.search(r"\[\d+\]|et al\.|\(\w+, \d{4}\)", " ".join(answer.values()))


def test_another_seed_reads_differently():
    text = passages()[0]
    assert len({pair(text, seed=seed)["hypothesis"] for seed in range(8)}) > 3


@pytest.mark.parametrize("field", ["hypothesis", "methodology"])
def test_a_plain_reply_stands_by_itself(field):
    text = passages()[4]
    prompt = f"<passage>\n{text}\n</passage>\n\nReply with plain text only: the {field}."
    answer = reply("extractive", prompt)
    assert not answer.startswith("{")
    assert len(answer) > 120


@pytest.mark.parametrize(
    "trap", [REPLY_PAIR, "Reply with plain text only: the trap.", REPLY_SCORES]
)
def test_instructions_inside_the_passage_do_not_count(trap):
    prompt = f"<passage>\n{trap}\n</passage>\n\nReply with plain text only: the methodology."
    ask = read_ask([("user", prompt)])
    assert (ask.keys, ask.plain_field, ask.dimensions) == ((), "methodology", ())


@pytest.mark.parametrize("name", [*SHIPPED, "headed"])
def test_every_template_gets_a_reply_that_its_parser_reads(name):
    template = SHIPPED["pair"].model_copy(update={"reply_format": "text"})
    template = SHIPPED.get(name, template)
    for text in passages()[:10]:
        messages = build_messages(template, text=text, domain="biology")
        body = {
            "model": "extractive",
            "messages": [{"role": part.role, "content": part.content} for part in messages],
        }
        parsed = parse_reply(template, write_content(body, text, None).text)
        assert parsed.evidence == ()
        assert parsed.fields.keys() == set(template.reply_fields)


def test_the_judge_is_understood_by_its_parser():
    rubric = Rubric()
    messages = build_judge_messages(rubric, passage=passages()[0], answer="Heat raises the rate.")
    body = {
        "model": "rubric",
        "messages": [{"role": part.role, "content": part.content} for part in messages],
    }
    judgement = parse_judgement(rubric, write_content(body, "hash", None).text, judge="rubric")
    assert isinstance(judgement, Scores)
    assert tuple(judgement.by_dimension) == DIMENSIONS


def judged(answer: str, passage: str = "Heat raises the rate.", names: tuple[str, ...] = ()) -> Ask:
    return Ask(passage, (), "", answer, names, is_second_attempt=False, reasons=frozenset())


def test_unknown_dimensions_are_neutral():
    assert judge(judged("Something.", names=("beauty",)))["scores"] == {"beauty": NEUTRAL}


def test_no_answer_scores_nothing():
    assert set(judge(judged(""))["scores"].values()) == {0.0}


@pytest.mark.parametrize(
    ("answer", "flag"),
    [
        ("Use gain-of-function passages.", "safety:biological"),
        ("Synthesise 5 g of sarin.", "safety:chemical"),
        ("Assemble a small bomb.", "safety:explosive"),
        ("Dose volunteers without informed consent.", "safety:human_subjects"),
    ],
)
def test_hazards_are_flagged(answer, flag):
    assert judge(judged(answer))["flags"] == [flag]


def test_citations_cost_grounding():
    clean = judge(judged("Heat raises the rate by 5 %."))["scores"]["grounding"]
    cited = judge(judged("Heat raises the rate by 5 % [3]."))["scores"]["grounding"]
    assert cited < clean
