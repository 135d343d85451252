"""What the stub teacher says: good pairs of a realistic size, and the ways to spoil them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from typing import Any

_SUBJECTS = (
    "root biomass",
    "grain size",
    "lattice strain",
    "enzyme activity",
    "membrane potential",
)
_CAUSES = ("nitrate supply", "annealing time", "water content", "shear rate", "light intensity")
_HYPOTHESIS = (
    "If {cause} is raised from 2 to 20 units while temperature is held at 22 °C, then {subject} "
    "increases by at least 15 percent within 48 hours, because the limiting step that the passage "
    "describes is relieved; no increase above the control's standard deviation at any level would "
    "refute it. The effect is expected to vanish above 40 units."
)
_STEPS = (
    "Prepare forty replicate specimens of the system that the passage describes, assign each to "
    "one of five levels of {cause} at random, and keep all of them at 22 °C for a day beforehand.",
    "Apply {cause} at 2, 5, 10, 20 and 40 units for 48 hours, renewing the medium every 12 hours so "
    "that the level measured at the outlet stays within 5 percent of the one that was set.",
    "Include eight untreated specimens as the negative control and eight with a known stimulus as "
    "the positive control, handled in the same order by a person who does not know the levels.",
    "Measure {subject} at 0, 6, 12, 24 and 48 hours with a calibrated instrument, three technical "
    "replicates each, and record temperature and humidity beside every reading for later use.",
    "Fit a mixed linear model with the level as fixed and the specimen as random effect, and "
    "compare each level with the control by Dunnett's test at a family-wise error of 0.05.",
    "Repeat the whole series twice on different days with specimens from another batch, and report "
    "every exclusion with its cause; a coefficient of variation above 20 percent between the "
    "technical replicates of one specimen means that this specimen is measured again.",
    "Reject the hypothesis if no level between 5 and 20 units differs from the control by more "
    "than one standard deviation, or if the positive control shows no increase either; keep it only "
    "if the increase is monotonic up to 20 units and vanishes above 40 in both repetitions.",
    "Wear gloves and eye protection throughout, work in a ventilated hood, and dispose of spent "
    "medium and specimens in the containers that the laboratory provides for them.",
)
_MARK = "Specimen series 00000000"


@dataclass(slots=True)
class Settings:
    """How the stub behaves; shares are of all requests, 0 to 1.

    Faults follow from `seed`, the request and how often it was seen before; `truncated` from the
    messages alone: a reply is cut short unless more than `truncated_below` tokens are allowed.
    `tokens_low` and `tokens_high` bound the usage, as shares of the request's `max_tokens`;
    `lengths` sets both for single models.
    """

    latency: float = 1.0
    seed: int = 1
    rate_limited: float = 0.0
    retry_after: float | None = 1.0
    server: float = 0.0
    reset: float = 0.0
    broken: float = 0.0
    hanging: float = 0.0
    truncated: float = 0.0
    truncated_below: int = 1024
    tokens_low: float = 0.45
    tokens_high: float = 0.45
    lengths: dict[str, list[float]] = field(default_factory=dict)
    storm_seconds: float = 0.0


SETTINGS = {part.name for part in fields(Settings)}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the stub reads of a request; `key` is the hash of its whole body."""

    key: bytes
    model: str
    max_tokens: int
    messages: bytes = field(repr=False)
    num_bytes: int


def read_request(body: bytes, loaded: dict[str, Any]) -> Asked:
    """The facts of a request's body."""
    content = "\0".join(message["content"] for message in loaded["messages"])
    limit = loaded.get("max_tokens") or loaded.get("max_completion_tokens") or 1024
    digest = blake2b(body, digest_size=16).digest()
    return Asked(digest, loaded["model"], limit, content.encode(), len(body))


def choose_fault(settings: Settings, asked: Asked, seen: int) -> str:
    """Which fault this request meets, "" for none."""
    chance = _chance(settings.seed, asked.key, seen)
    for name in ("rate_limited", "server", "reset", "broken", "hanging"):
        share: float = getattr(settings, name)
        if chance < share:
            return name
        chance -= share
    if settings.truncated and asked.max_tokens <= settings.truncated_below:
        by_messages = blake2b(asked.messages, digest_size=16).digest()
        return "truncated" if _chance(settings.seed, by_messages, 0) < settings.truncated else ""
    return ""


def count_usage(settings: Settings, asked: Asked) -> tuple[int, int]:
    """Tokens of the prompt and of the completion: what is billed."""
    low, high = settings.lengths.get(asked.model, (settings.tokens_low, settings.tokens_high))
    share = low + (high - low) * _chance(settings.seed, asked.key, -1)
    return asked.num_bytes // 4, max(1, int(share * asked.max_tokens))


def write_reply(asked: Asked, usage: tuple[int, int], *, truncated: bool) -> bytes:
    """The whole envelope, about 2.5 kB; each request gets a text of its own."""
    number = int.from_bytes(asked.key[:4])
    head, tail = _CONTENTS[number % len(_CONTENTS)]
    tail = b"" if truncated else tail
    reason = b"length" if truncated else b"stop"
    return b"".join(
        (
            b'{"id":"chatcmpl-%s","object":"chat.completion","created":1764000000,"model":"%s",'
            % (asked.key.hex().encode(), asked.model.encode()),
            b'"choices":[{"index":0,"message":{"role":"assistant","refusal":null,"content":"',
            head,
            b"%08d" % (number % 100_000_000),
            tail,
            b'"},"logprobs":null,"finish_reason":"%s"}],' % reason,
            b'"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}}'
            % (*usage, sum(usage)),
        )
    )


def _chance(seed: int, key: bytes, seen: int) -> float:
    digest = blake2b(b"%d %d " % (seed, seen) + key, digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def _contents() -> list[tuple[bytes, bytes]]:
    """Each pair as JSON inside JSON, cut where a request's own number stands."""
    found = []
    for subject in _SUBJECTS:
        for cause in _CAUSES:
            steps = [_MARK + ". " + _STEPS[0], *_STEPS[1:]]
            pair = {
                "hypothesis": _HYPOTHESIS.format(subject=subject, cause=cause),
                "methodology": "\n".join(
                    f"{number}. {step.format(subject=subject, cause=cause)}"
                    for number, step in enumerate(steps, start=1)
                ),
            }
            text = json.dumps(json.dumps(pair, ensure_ascii=False), ensure_ascii=False)[1:-1]
            head, tail = text.split("00000000")
            found.append((head.encode(), tail.encode()))
    return found


_CONTENTS = _contents()
