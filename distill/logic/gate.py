"""SampleGate: from all that is known of one completion to one verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from distill.logic.documents import Document, between
from distill.logic.reasons import Reason, Stage
from distill.logic.types import Evidence, Scores, Verdict

TOLERANCE = 1e-9
"""A mean of 0.8, 0.8, 0.8 is 0.8000000000000002 or 0.7999999999999999, as the sum falls."""

Share = Annotated[float, between(0, 1)]


class GateConfig(Document):
    """Thresholds on the judges' scale, 0 to 1. Reaching one is passing it.

    0.80 is the guide's "minimum judge score threshold (default: 0.80)". `min_scores` may ask more
    of single dimensions; each is compared with the mean over the judges.

    `max_disagreement`: the largest difference between two judges' means; above it a person must
    look. `review_band`: so near to `min_mean`, on either side, a person must look; 0 switches it off.
    """

    min_mean: Share = 0.80
    min_scores: Mapping[str, Share] = {}
    max_disagreement: Share = 0.30
    review_band: Share = 0.0


def decide(
    *,
    parse_evidence: Sequence[Evidence],
    rule_evidence: Sequence[Evidence],
    judgements: Sequence[Scores | Evidence],
    config: GateConfig,
    judged: bool,
) -> Verdict:
    """The verdict on one completion: every check is evaluated and every reason kept.

    `judgements` are the judges' scores, or the evidence that one gave none. With `judged` at least
    one is expected (else JUDGE_MISSING); without it the verdict says what parsing and rules alone
    know, and judgements that happen to be there still count. The mean is taken over all dimensions
    of all valid judgements, and is None where there is none. Evidence is ordered by stage.
    """
    scores = [item for item in judgements if isinstance(item, Scores)]
    evidence = [*parse_evidence, *rule_evidence]
    evidence += [item for item in judgements if isinstance(item, Evidence)]
    if judged and not judgements:
        evidence.append(Evidence(Reason.JUDGE_MISSING, "no judge has replied"))
    mean = _mean(value for item in scores for value in item.by_dimension.values())
    evidence += _low_scores(scores, mean, config)
    evidence += _safety_flags(scores)
    evidence += _must_review(scores, mean, config)
    order = list(Stage)
    evidence.sort(key=lambda finding: order.index(finding.reason.stage))
    against = tuple(finding for finding in evidence if not finding.reason.is_flag)
    return Verdict(
        passed=not against,
        stage=against[0].reason.stage if against else None,
        evidence=against,
        mean_score=mean,
        flags=tuple(finding for finding in evidence if finding.reason.is_flag),
        scores={item.judge: item.by_dimension for item in scores},
    )


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return sum(known) / len(known) if known else None


def _low_scores(scores: Sequence[Scores], mean: float | None, config: GateConfig) -> list[Evidence]:
    found = [_too_low("mean", mean, config.min_mean)]
    for name, minimum in config.min_scores.items():
        values = [item.by_dimension[name] for item in scores if name in item.by_dimension]
        found.append(_too_low(name, _mean(values), minimum))
    return [evidence for evidence in found if evidence]


def _too_low(name: str, value: float | None, minimum: float) -> Evidence | None:
    if value is None or value >= minimum - TOLERANCE:
        return None
    return Evidence(Reason.LOW_SCORE, f"{name} {_distinct(value, minimum)}")


def _distinct(value: float, minimum: float) -> str:
    """Both numbers with as many digits as it takes to tell them apart (0.7997, never 0.80)."""
    digits = next(n for n in range(2, 12) if f"{value:.{n}f}" != f"{minimum:.{n}f}")
    return f"{value:.{digits}f} is below {minimum:.{digits}f}"


def _safety_flags(scores: Sequence[Scores]) -> list[Evidence]:
    return [
        Evidence(Reason.SAFETY, f"judge {item.judge} raised {flag}")
        for item in scores
        for flag in item.flags
        if flag.lower().startswith("safety")
    ]


def _must_review(
    scores: Sequence[Scores], mean: float | None, config: GateConfig
) -> list[Evidence]:
    found = []
    means = sorted(item.mean for item in scores)
    if means and means[-1] - means[0] > config.max_disagreement + TOLERANCE:
        detail = f"judges' means reach from {means[0]:.2f} to {means[-1]:.2f}"
        found.append(Evidence(Reason.JUDGES_DISAGREE, detail))
    if mean is None or not config.review_band:
        return found
    if abs(mean - config.min_mean) <= config.review_band + TOLERANCE:
        detail = f"mean {mean:.2f}, within {config.review_band:.2f} of {config.min_mean:.2f}"
        found.append(Evidence(Reason.NEAR_THRESHOLD, detail))
    return found
