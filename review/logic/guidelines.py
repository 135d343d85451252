"""What a reviewer reads before the first card: the shipped text, and how a text is shown."""

from __future__ import annotations

from dataclasses import dataclass

from distill.logic.reasons import Reason

_LONGEST_HEADING = 60
_ENDS = (".", "!", "?", ":", ";", ",", "”", '"', ")")

_EXAMPLES: dict[Reason, str] = {
    Reason.NOT_FALSIFIABLE: (
        "No result could speak against it. Example: “Diet may influence health in many ways.” "
        "Better: “Replacing 10 g of saturated fat a day lowers LDL within eight weeks.”"
    ),
    Reason.NOT_REPRODUCIBLE: (
        "Another laboratory could not repeat it: amounts, groups, times or the way of measuring "
        "are missing. Example: “Treat the cells and look whether they grow better.”"
    ),
    Reason.NOT_GROUNDED: (
        "It is not about the source, or the source says otherwise. Example: the passage is on "
        "drought in maize, the hypothesis on flooding in rice."
    ),
    Reason.IMPLAUSIBLE: (
        "It contradicts what is well established, without saying why. Example: “Cooling the "
        "enzyme to −40 °C doubles its turnover.”"
    ),
    Reason.VAGUE_METHOD: (
        "The steps are there, but too general to carry out. Example: “Collect samples, analyse "
        "them with suitable statistics, compare.”"
    ),
    Reason.UNSAFE: (
        "Carried out as written it would harm people, animals or the environment, or it helps "
        "somebody to do so. Example: a dose for volunteers far above the known limit."
    ),
    Reason.WRONG_FORMAT: (
        "The parts are mixed up, cut off, or not what was asked for. Example: the methodology "
        "stands in the hypothesis, or the text ends in the middle of a sentence."
    ),
    Reason.TRIVIAL: (
        "True, but everybody knows it, or the source has shown it already. Example: “Plants "
        "without light grow more slowly.”"
    ),
    Reason.OTHER: "Anything else. Write a note: the next attempt can only mend what it is told.",
}

INTRODUCTION = """\
You see a passage from a paper and, beside it, a pair that a model wrote from it: a hypothesis, and \
a method to test it. Decide whether a student model should learn from this pair.

Accept (a) when all of this is true: an experiment could show the hypothesis to be wrong; the method \
tests that hypothesis and says enough to repeat it; both follow from the passage; nobody is harmed by \
carrying it out. It need not be brilliant, and its language need not be perfect.

Reject (x, then a digit) when one of this is missing. Give the reason that matters most, and a note \
where you can say in a few words what is wrong: both go into the next attempt.

Skip (s) when you cannot judge it, for example because it is not your field: somebody else gets it. \
You can take back what you decided (u).

Decide from the passage and from what you know. What the judges said is hidden until you have \
decided; please do not look it up."""


def shipped_guidelines() -> str:
    """The text for queues that bring none of their own."""
    reasons = (
        f"{digit} {reason.label}. {text}"
        for digit, (reason, text) in enumerate(_EXAMPLES.items(), 1)
    )
    return "\n\n".join((INTRODUCTION, "The nine reasons", *reasons))


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What stands between two empty lines; a short line that ends in no sign is a heading."""

    text: str

    @property
    def is_heading(self) -> bool:
        is_line = "\n" not in self.text and len(self.text) <= _LONGEST_HEADING
        return is_line and not self.text.endswith(_ENDS)


def paragraphs(text: str) -> list[Paragraph]:
    """The paragraphs of a plain text."""
    blocks = text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n")
    return [Paragraph(block.strip("\n")) for block in blocks if block.strip()]
