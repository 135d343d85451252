"""The flag on data that tell who a person is."""

from __future__ import annotations

from distill.logic.reasons import Reason
from distill.logic.rules.base import pattern_rule

_DATE = (
    r"(?:\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}-\d{2}-\d{2}|\d{1,2}\.? \p{L}{3,9}\.?,? \d{4}"
    r"|\p{L}{3,9}\.? \d{1,2},? \d{4})"
)
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_FIRST_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]\d)"
_DEGREES = r"[-+]?\d{1,3}\.\d{3,8}(?:\s?°)?"
_PERSONAL = (
    r"(?i:\b[a-z0-9][a-z0-9._%+-]*@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,24}\b)",
    # Telephone: announced as such, international, or as in the United States.
    r"(?i:\b(?:tel|phone|telephone|mobile|fax)\b[.:]{0,2}(?: (?:no|number)\b\.?:?)?"
    r" ?\+?\(?\d[\d ()./-]{5,18}\d)",
    r"\+\d{1,3}[ .-]\(?\d{1,4}\)?[ .-]\d{2,4}[ .-]?\d{2,4}\b",
    r"(?:\(\d{3}\) ?|\b\d{3}[-.])\d{3}[-.]\d{4}\b",
    r"\b\d{3}-\d{2}-\d{4}\b",
    rf"(?i:\b(?:DOB|date of birth|born(?: on)?)\b\s*[:=]?\s*){_DATE}",
    r"(?i:\b(?:MRN|medical record|(?:hospital|NHS|passport|social security) (?:no\.?|number)"
    r"|patient (?:ID|identifier|no\.?|number))(?: (?:no\.?|number))?\s*[:=#]?\s*[A-Z]{0,3}-?"
    r"\d[\d -]{2,}\d)",
    r"(?i:\b(?:patient|participant|volunteer)(?: is| was)? (?:called|named)|\bname of the patient:?)"
    r" \p{Lu}\p{Ll}+",
    # Not from a single digit on: 3.4.21.4 is an enzyme.
    rf"\b{_FIRST_BYTE}\.{_BYTE}\.{_BYTE}\.{_BYTE}\b",
    rf"(?i:\b(?:address|home|house|lives|residence)\b)[^\n]{{0,60}}{_DEGREES}\s?[NS]?,\s?{_DEGREES}",
)

PERSONAL_DATA = pattern_rule(
    Reason.PERSONAL_DATA,
    "|".join(_PERSONAL),
    near=r"\S@\S|(?i:\b(?:date of birth|e-?mail|home address|medical record|phone|telephone)\b)",
    says=(
        "Flags e-mail addresses, telephone numbers, identifiers of patients, dates of birth and the "
        "like, for a person to look at."
    ),
)
