"""A sentence of the passage that reports a difference, and the term that may account for it.

Used where no relation was read with confidence: a whole sentence is always grammatical, a guess at
half of one is not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from distill.teachers.offline.phrases import STOPWORDS, content_words, shares_words, tidy


@dataclass(frozen=True, slots=True)
class Finding:
    """`sentence` as the passage has it; `term` is a phrase that the passage keeps coming back to."""

    sentence: str
    term: str


_CHANGE = re.compile(
    r"\b(?:rose|fell|rises?|falls?|increas\w+|decreas\w+|dropp\w+|declin\w+|climb\w+|higher|lower|"
    r"longer|shorter|faster|slower|greater|fewer|larger|smaller|better|worse|more|less|reduc\w+|"
    r"raised|improv\w+|doubled|halved|lengthened|differ\w*|outperform\w*|exceed\w*|achiev\w+|"
    r"correlat\w+|associated|compared|against|versus|than|prevent\w+|sank|grew|shrank|stopped)\b",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(
    r"^(?:this|these|those|that|it|its|they|their|he|she|such|there|here|however|but|and|or|so|thus|"
    r"hence|therefore|yet|nor|both|neither|instead|in contrast|on the other|moreover|furthermore|"
    r"then|also|another|each|the (?:former|latter|other|same|rest|extra|gain|effect|drug)|whether|"
    r"to|if|how|why|what|for this|in this|our|we|explain|derive|describe|discuss|analy[sz]e|"
    r"by|based|because|though|although|using|while|extensive|recent|a (?:central|key|major|common)|"
    r"compare|outline|evaluate|propose|design|predict)\b",
    re.IGNORECASE,
)
_NO_FINDING = re.compile(
    r"\?|\b(?:unknown|unclear|can|recorded|divided|randomi[sz]ed|goal|concept|need|important|aim|purpose|objective|propose|suspect|may|might|could|should|did not|"
    r"not|no|will|tables?|figures?|above|respectively)\b",
    re.IGNORECASE,
)
_NOT_A_TERM = re.compile(
    r"(?:ly|ed|est)$|^(?:was|were|had|has|have|did|does|been|than|then|from|with|same|three|four|first|"
    r"second|both|only|each|about|after|before|under|half|less|more|most|high|higher|lower|low|large|"
    r"small|group|groups|study|studies|patients|results|control|controls|source|value|values|show|"
    r"shows|significant|significance|mean|median|compared|paper|propose|model|models|method|methods|"
    r"approach|learning|data|based|test|tests|per|day|days|week|weeks|hour|hours|year|years|month|"
    r"months|time|times|rose|fell|held|grew|kept|made|left|took|gave|went|alone|even|many|much|"
    r"case|cases|number|rate|rates|level|levels|work|recent|different|multiple|existing|use|used|"
    r"using|state-of-the-art|performance|when|while|where|known|well|stays?|carries|above|below|equal|whole|main|single|technique|strategy|presence|absence|order|tasks?|text|risk|block|thing|variety|problems?|need|use|set|sets|long|kept|give|gives|given|without)$"
)

_NOUN_PHRASE = re.compile(
    r"\b(?:the|an?|of|in|with|for|by|from|on|under|between|without|than|into|that|whether) "
    r"(?=((?:[A-Za-z][\w-]+ ){0,2}[A-Za-z][\w-]+)"
    r"(?:\s(?:of|in|was|were|is|are|at|and|or|for|with|to|on|by|from|after|before|did|had|has|than|can|"
    r"may|does|do|during|while|over|within|but)\b|[,.;:]|$))"
)

_MAX_TERMS = 6
_TERM_WEIGHTS = (0.5, 1.5, 1.6)


def find_finding(sentences: Sequence[str]) -> Finding | None:
    """The sentence that says most clearly what changed, with a term to explain it; or None."""
    sentence = max(sentences, key=_clarity, default="")
    if not sentence or _clarity(sentence) <= 0:
        return None
    term = next((term for term in key_terms(sentences) if not _is_subject(term, sentence)), "")
    return Finding(sentence.rstrip(" .;:"), term) if term else None


def key_terms(sentences: Sequence[str]) -> list[str]:
    """Noun phrases of one to three words, by how many sentences hold them; at most six."""
    shapes = {phrase for sentence in sentences for phrase in _noun_phrases(sentence)}
    text = [f" {sentence.lower()} " for sentence in sentences]
    counts = {phrase: sum(phrase.lower() in line for line in text) for phrase in shapes}
    weights = {
        phrase: count * _TERM_WEIGHTS[len(phrase.split()) - 1]
        for phrase, count in counts.items()
        # Two words may be seen once; one alone says little, and three are often half a clause.
        if count > 1 or len(phrase.split()) == 2
    }
    ranked = sorted(weights, key=lambda phrase: (-weights[phrase], phrase))
    terms: list[str] = []
    for phrase in [*ranked, *_common_words(sentences)]:
        if tidy(phrase) == phrase and not any(shares_words(phrase, known) for known in terms):
            terms.append(phrase)
        if len(terms) == _MAX_TERMS:
            break
    return terms


def _common_words(sentences: Sequence[str]) -> list[str]:
    """Single words, the commonest first: what is left where no phrase stands out."""
    counts = Counter(content_words(" ".join(sentences)))
    return [word for word, _ in counts.most_common(40) if _is_term_word(word)]


def _clarity(sentence: str) -> float:
    """How well a sentence stands alone as a reported difference; 0 or less where it does not."""
    num_words = len(sentence.split())
    if not 7 <= num_words <= 38 or _POINTS_BACK.match(sentence) or _NO_FINDING.search(sentence):
        return 0.0
    num_changes = len(_CHANGE.findall(sentence))
    has_numbers = bool(re.search(r"\d", sentence))
    return min(num_changes, 3) * 1.0 + 0.8 * has_numbers - 0.04 * abs(num_words - 20) - 0.5


def _noun_phrases(sentence: str) -> list[str]:
    """What stands between an article or preposition and the next small word or comma."""
    found = (match.group(1) for match in _NOUN_PHRASE.finditer(sentence))
    return [phrase for phrase in found if all(map(_is_term_word, phrase.split()))]


def _is_term_word(word: str) -> bool:
    lowered = word.lower()
    return (
        len(word) > 3
        and word[0].isalpha()
        and lowered not in STOPWORDS
        and not _NOT_A_TERM.search(lowered)
    )


def _is_subject(term: str, sentence: str) -> bool:
    """Whether the sentence begins with the term: a thing cannot account for itself."""
    return shares_words(term, " ".join(sentence.split()[:4]))
