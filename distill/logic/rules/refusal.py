"""The rule on replies in which the teacher would not, or could not, answer."""

from __future__ import annotations

from distill.logic.reasons import Reason
from distill.logic.rules.base import pattern_rule

_CANNOT = (
    r"(?:cannot|can not|can['’]t|could not|won['’]t|will not|am (?:unable|not able|not allowed) to"
    r"|['’]m (?:unable|not able|not allowed) to)"
)
_HELP = (
    r"(?:answer|assist|comply|complete|continue|create|design|discuss|do that|engage|fulfil|fulfill"
    r"|generate|give|help|offer|produce|propose|provide|share|support|write)"
)
_REFUSALS = (
    r"\b(?:I['’]m|I am|we are) (?:very |truly |really )?sorry\b",
    r"\b(?:I|we) apologi[sz]e\b",
    r"\bas an? (?:AI|artificial intelligence|(?:large )?language model)\b",
    rf"\bI ?{_CANNOT} (?:\w+ )?{_HELP}\b",
    r"\bI (?:must|have to) (?:respectfully )?decline\b",
    r"\bagainst (?:my|our|the|OpenAI['’]s) (?:guidelines|policy|policies|programming)\b",
    r"\b(?:context|passage|source|text) (?:does not|doesn['’]t) "
    r"(?:contain|give|include|offer|provide) (?:enough|sufficient)\b",
)

_ALMOST = (
    r"(?i)\b(?:I|we) (?:cannot|can ?not|can['’]t|am unable|are unable)\b|\bas a (?:chatbot|model)\b"
)

REFUSAL = pattern_rule(
    Reason.REFUSAL,
    f"(?i){'|'.join(_REFUSALS)}",
    near=_ALMOST,
    says="Drops replies in which the teacher would not answer, or says that it cannot.",
)
