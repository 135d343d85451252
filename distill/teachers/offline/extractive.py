"""The `extractive` stand-in: a hypothesis and a methodology from the passage's own phrases.

Pure: the same request gives the same text. Phrases are taken from the passage, the sentences round
them are ours, chosen by the request's hash, so another seed reads differently. About a quarter of
the first attempts are flawed on purpose, as a real teacher's are; an attempt that was given
reasons is not, and answers them.
"""

from __future__ import annotations

from dataclasses import dataclass

from distill.teachers.offline.facts import read_facts
from distill.teachers.offline.methods import write_methodology, write_sketch
from distill.teachers.offline.plan import Chooser, Flaw, Plan, make_plan
from distill.teachers.offline.prompt import Ask

_NOTHING_FOUND = (
    "The text names no two quantities that could be related, so no hypothesis was drawn from it."
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A hypothesis and the methodology that tests it."""

    hypothesis: str
    methodology: str

    def field(self, key: str) -> str:
        """The text for a template's field; unknown fields get the hypothesis."""
        return self.methodology if "method" in key.lower() else self.hypothesis


def write_pair(ask: Ask, request_hash: str) -> Pair:
    """Answer `ask`; a reply that holds one field alone is written to stand by itself."""
    facts = read_facts(ask.passage)
    plan = make_plan(facts, Chooser(request_hash), is_second_attempt=ask.is_second_attempt)
    if plan is None:
        return Pair(_NOTHING_FOUND, _NOTHING_FOUND)
    hypothesis, methodology = _hypothesis(plan), write_methodology(plan, _answers(ask, plan))
    is_flawed = plan.flaw is not Flaw.NONE
    if len(ask.keys) > 1 or is_flawed:
        return Pair(hypothesis, methodology)
    aim = f"This protocol tests the following hypothesis. {hypothesis}"
    return Pair(f"{hypothesis} {write_sketch(plan)}", f"{aim}\n{methodology}")


def _hypothesis(plan: Plan) -> str:
    if plan.flaw is Flaw.GENERIC:
        return "The factor described in the text will influence the outcome in some way."
    if plan.flaw is Flaw.VAGUE:
        where = f" {plan.system}" if plan.system else ""
        return _upper_first(
            f"{_subject(plan)} may play some role in {plan.outcome}{where}, and it could be worth "
            "looking at this more closely."
        )
    claim = _claim(plan)
    if plan.flaw in (Flaw.NO_RULE, Flaw.THIN_METHOD):
        return claim
    reason = "" if plan.leaves_out("reason") else _reason(plan)
    refutation = "" if plan.leaves_out("refutation") else _refutation(plan)
    return " ".join(part for part in (claim, reason, refutation) if part)


def _claim(plan: Plan) -> str:
    """System, variable, direction, size, comparison and time, in one of three orders."""
    if plan.finding:
        return _claim_on_finding(plan)
    cause, outcome = plan.relation.cause, plan.outcome
    action = _action(plan)
    where = f"{plan.system}, " if plan.system else ""
    whereafter = f" {plan.system}" if plan.system else ""
    sign = "higher" if plan.direction > 0 else "lower"
    size = f"by at least {plan.threshold} relative to {plan.comparison}"
    return _upper_first(
        plan.choose.pick(
            "claim",
            (
                f"{where}{cause} will {action}, {size}, {plan.window}.",
                f"{cause} will {action}{whereafter}: {plan.window}, the difference from "
                f"{plan.comparison} will be at least {plan.threshold}.",
                f"if there is a link between {cause} and {plan.relation.effect}, then {where}{outcome} will be at "
                f"least {plan.threshold} {sign} {plan.window} than for {plan.comparison}.",
            ),
        )
    )


def _claim_on_finding(plan: Plan) -> str:
    """What the source reports, in its words, and what that would mean if one term explained it."""
    term = _subject(plan)
    shrinks = f"shrink it by at least {plan.threshold} relative to {plan.comparison}, {plan.window}"
    return plan.choose.pick(
        "claim",
        (
            f"The source reports: {plan.finding}. If the difference is due to {term}, holding "
            f"{term} constant will {shrinks}.",
            f"Holding {term} constant will reduce a difference that the source reports, namely: "
            f"{plan.finding}. The predicted drop is at least {plan.threshold} relative to "
            f"{plan.comparison}, {plan.window}.",
            f"Our prediction is that {term} can explain this observation: {plan.finding}. Holding {term} "
            f"constant should then {shrinks}.",
        ),
    )


def _subject(plan: Plan) -> str:
    """What the hypothesis is about: the cause, or the term that is held constant."""
    cause = plan.relation.cause
    return cause.removeprefix("holding ").removesuffix(" constant") if plan.finding else cause


def _action(plan: Plan) -> str:
    """The predicate: the passage's verb where it has a direction, else an association."""
    relation = plan.relation
    if relation.verb and relation.direction:
        return f"{relation.verb} {relation.effect}"
    if plan.kind == "computational" or plan.is_intervention:
        return f"{'raise' if plan.direction > 0 else 'reduce'} {plan.outcome}"
    sign = "higher" if plan.direction > 0 else "lower"
    article, the, rest = plan.outcome.rpartition("the ")
    return f"be associated with {'a ' if the and not article else ''}{sign} {rest}"


def _reason(plan: Plan) -> str:
    if plan.finding:
        return plan.choose.pick(
            "ground",
            (
                "That is the expected result if it mediates the difference and does not merely "
                "accompany it.",
                "A common cause of both is the plausible alternative, and would leave the "
                "difference as it is.",
            ),
        )
    if plan.reason is None:
        return plan.choose.pick(
            "ground",
            (
                "The source makes this direction plausible but leaves its size open.",
                "This is the direction expected if the link that the source describes is causal.",
            ),
        )
    cause, effect = plan.reason.cause, plan.reason.effect
    return plan.choose.pick(
        "reason",
        (
            f"This is plausible because the source also ties {cause} to {effect}.",
            f"The expected reason lies in how {cause} bears on {effect}.",
        ),
    )


def _refutation(plan: Plan) -> str:
    return plan.choose.pick(
        "refutation",
        (
            f"A difference smaller than {plan.half}, or one in the opposite direction, would "
            "falsify it.",
            f"It is refuted if the difference stays under {plan.half} or changes its sign.",
            f"Finding less than {plan.half}, or no consistent direction, would prove it wrong.",
        ),
    )


def _answers(ask: Ask, plan: Plan) -> list[str]:
    """Further steps of a second attempt, for the reasons that were given."""
    if not ask.is_second_attempt:
        return []
    steps = ["Register protocol, analysis code and stopping rule before the first measurement."]
    if ask.reasons & {"vague_method", "not_reproducible", "too_short", "trivial"}:
        steps.append(
            "Record every setting, version and deviation in a shared log, so that another group "
            "can repeat each step; have one such group replicate 20 % of the sample."
        )
    if ask.reasons & {"not_grounded", "implausible"}:
        steps.append(
            f"Check the premise first: confirm in a pilot of n = 20 that {plan.relation.cause} "
            f"and {plan.relation.effect} vary as the source reports."
        )
    if ask.reasons & {"unsafe", "safety"}:
        steps.append("Obtain ethics approval, and stop at the first sign of harm.")
    return steps


def _upper_first(text: str) -> str:
    return text[:1].upper() + text[1:]
