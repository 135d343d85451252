"""Sentences and phrases of scientific prose, by plain rules: no model, no dictionary of English."""

from __future__ import annotations

import re
from functools import lru_cache

_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|v|etc|al|Fig|Figs|Eq|Eqs|Dr|Prof|approx|resp|ca|no|No|spp?|St|[A-Z]))\.$"
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[\"'(\[]?[A-Z0-9\\])|\n+")
_LABEL = re.compile(r"^(?:[A-Z][A-Z &/,]{2,40}|Background|Methods?|Results?|Conclusions?):\s*")
_LATEX = re.compile(r"\\[a-zA-Z]+\{([^{}]*)\}")
_ASIDE = re.compile(r"\s*(?:\([^()]*\)|\[[^\[\]]*\]|\$[^$]*\$)")
_LINK = re.compile(r"\bhttps?://\S+|\bdoi:\S+|\bwww\.\S+", re.IGNORECASE)

# Finite verbs that abstracts are full of: a noun phrase ends where one of them stands.
_FINITE_VERBS = (
    r"produces?|allows?|enables?|takes?|provides?|leads?|leading|yields?|achieves?|requires?|suggests?|"
    r"suggested|confirms?|confirmed|shows?|showed|shown|reports?|reported|seems?|tends?|makes?|uses?|"
    r"learns?|generates?|obtains?|obtained|considers?|captures?|contains?|consists?|depends?|occurs?|"
    r"occurred|involves?|performs?|becomes?|gives?|needs to|appears?|exhibits?|demonstrates?|"
    r"demonstrated|indicates?|indicated|reveals?|revealed|represents?|describes?|received|underwent|"
    r"included|seen|allowing|making|resulting|resulted|results in|found|observed|assessed|evaluated|"
    r"proposed|presents|presented|aims?|helps?|offers?|lacks?|relies|rely|fails?|failed|exists?|explains?|"
    r"maps|flattens|partitions|outperforms?|outperformed|surpasses|improves|improved|increases|increased|"
    r"reduces|reduced|decreases|decreased|affects|affected|predicts|predicted|remained|differs?|differed|"
    r"establish|established|estimated|calculated|compares?|comparing|measured|performed|introduces?|"
    r"attempts? to|proves?|poses?|causes|caused|continues|arises?|originates?|serves?|acts|applies|"
    r"assumes?|encourages?|simplifies|guides?|hinders?|limits|degrades?|ensures?|combines|treats|turns"
)
_TO_VERB = (
    r"to (?:allow|learn|improve|reduce|predict|make|obtain|generate|achieve|increase|decrease|determine|"
    r"evaluate|assess|solve|capture|enable|provide|be|have|produce|identify|find|help|handle|model|"
    r"avoid|perform|address|use|train|infer|estimate|guide|detect|compute|encourage|extract|optimi[sz]e|"
    r"select|understand|explore|compare|adapt|create|build|support|prevent|treat|examine|investigate|"
    r"show|deal|work|tackle|overcome|map|answer|explain|describe|study|represent|encode|choose|control|"
    r"measure|test|give|take|get|do|let|leverage|exploit|develop|propose|ensure|minimi[sz]e|maximi[sz]e)"
)
_BOUNDARY = re.compile(
    r"[,;:!?\"“”{}|<>=/]|\s[-–—]+\s|--|\.\s|\b(?:that|which|who|whose|whom|where|when|while|whereas|"
    r"because|since|although|though|but|if|unless|until|thus|hence|therefore|however|whether|"
    r"as well as|as an?|in order|in terms of|with respect to|compared|versus|vs|than|using|via|followed|"
    r"given|based on|such as|like|including|according|is|are|was|were|be|been|being|has|have|had|can|"
    r"could|may|might|must|will|would|should|does|do|did|remains?|we|they|it|he|she|you|there|not|"
    r"also|only|so|both by|either|ie|eg|"
    rf"{_FINITE_VERBS}|{_TO_VERB}|(?:from|by|to|within|below|above|after|at|beyond|only|about) \d|"
    r"within \w+ (?:hours?|days?|weeks?|months?|years?)|supplies|yielded|peaked|appeared|scaled|drops?|"
    r"and (?:to|its|their|our|the|a|an|then|by|in|on|for|with|whether|how))\b",
    re.IGNORECASE,
)
_LEADING = re.compile(
    r"^(?:an?|the|this|these|those|our|their|its|his|her|such|any|some|both|each|all|every|"
    r"more|most|very|new|novel|simple|possible|potential|different|various|several|and|or|of|"
    r"in|on|for|with|by|at|from|as|how|what|why|further|overall|between|among|state-of-the-art|"
    r"certain|many|few|following|respective|corresponding|resulting|proposed|efficient|effective|"
    r"general|simpler|powerful|two|three|four|five|six|hundred|thousand|(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|"
    r"ninety)(?:-\w+)?|total|number of|use of|presence of|role of|"
    r"effects? of|impact of|influence of|importance of|ability of|concept of|problem of|task of|"
    r"[\d.,%±+-]+(?!\s(?:[mµμn]?M|[mµμ]?g|m[lL]|kg|[cmnµμ]m|Gy|Hz|%|°C|[kMG]Pa|W|V|K|T)\b)|p|"
    r"\w+ly)\s+",
    re.IGNORECASE,
)
_TRAILING = re.compile(
    r"(?:^|\s+)(?:an?|the|this|these|those|our|their|its|such|any|some|both|each|all|and|or|of|to|in|on|"
    r"for|with|without|by|at|from|as|into|over|under|after|before|during|between|among|within|"
    r"through|across|per|about|more|most|very|new|other|two|three|four|via|upon|against|toward|"
    r"towards|\w{2,}ly|\w{2,}[^e\W]ed|[\d.,%±]+|containing|lacking|carrying|meeting|retaining|itself|used|found|shown|observed|performed|reported|obtained|measured|compared)$",
    re.IGNORECASE,
)
_PREPOSITIONS_TEXT = """
    of in for with on at from to among within during after by between
"""
_PREPOSITIONS = frozenset(_PREPOSITIONS_TEXT.split())

_STOPWORDS_TEXT = """
    a an the this that these those our their its his her we they it he she you i and or but nor
    so yet of to in on for with without by at from as into over under after before during
    between among within through across per about than then there here is are was were be been
    being has have had do does did can could may might must will would should shall not no also
    only both either each all any some such more most very other which who whose whom where when
    while whereas because since although though if unless until thus hence therefore however
    whether versus vs using via based given one two three four five six new novel first second
    explain derive describe discuss analyze analyse what how why outline
"""
STOPWORDS = frozenset(_STOPWORDS_TEXT.split())
_EMPTY_TEXT = """
    study studies paper work works results result method methods approach approaches model
    models data analysis effect effects role impact influence use uses way ways problem problems
    aim purpose objective goal question group groups patient patients subjects participants case
    cases number total change changes difference differences factor factors findings evidence
    research literature people us them others issue issues topic field author authors
    experiments experiment outcome outcomes performance state art treatment quantity things
    thing recent years framework technique techniques algorithm algorithms setting settings
    hypothesis possibility presence absence existence performances
"""
_EMPTY = frozenset(_EMPTY_TEXT.split())


def split_sentences(text: str) -> list[str]:
    """The sentences of a passage, cleaned of section labels, markup, links and asides."""
    whole: list[str] = []
    for piece in _SENTENCE_END.split(text):
        if whole and _ABBREVIATION.search(whole[-1]):
            whole[-1] = f"{whole[-1]} {piece}"
        elif piece.strip():
            whole.append(piece.strip())
    return [cleaned for cleaned in map(clean, whole) if cleaned]


def clean(sentence: str) -> str:
    """One sentence without label, LaTeX commands, links and bracketed asides."""
    text = _LATEX.sub(r"\1", _LINK.sub("", sentence))
    text = _ASIDE.sub("", _ASIDE.sub("", text))
    text = re.sub(r"[()\[\]\\$`*_#~]|''", "", " ".join(text.split()))
    return re.sub(r"\s+([,.;:])", r"\1", _LABEL.sub("", text)).strip()


def last_phrase(text: str) -> str:
    """What stands after the last boundary of a text: the subject before a verb."""
    end = 0
    for found in _BOUNDARY.finditer(text):
        end = found.end()
    return text[end:]


def tidy(phrase: str, *, max_words: int = 9) -> str:
    """A noun phrase cut out of running text, or '' where nothing usable is left."""
    phrase = _cut_leading(phrase)
    found = _BOUNDARY.search(phrase)
    phrase = phrase[: found.start()] if found else phrase
    words = phrase.strip(" .'’‘-–—/").split()
    if len(words) > max_words:
        words = _shorten(words, max_words)
    phrase = _cut_trailing(" ".join(words))
    return _lower_first(phrase) if _is_usable(phrase) else ""


def content_words(text: str) -> list[str]:
    """Lower-case words that carry meaning, in order."""
    words = re.findall(r"[a-z][a-z0-9-]+", text.lower())
    return [word for word in words if word not in STOPWORDS]


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """A crude stem, enough to match singular and plural, `predict` and `predicted`."""
    for ending in ("ations", "ation", "ings", "ing", "ies", "ed", "es", "s", "ly", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def shares_words(one: str, other: str) -> bool:
    """Whether two phrases name much the same thing."""
    stems, others = _stems(one), _stems(other)
    if not stems or not others:
        return False
    return len(stems & others) >= (min(len(stems), len(others)) + 1) // 2


@lru_cache(maxsize=4096)
def _stems(phrase: str) -> frozenset[str]:
    return frozenset(stem(word) for word in content_words(phrase))


def _cut_leading(phrase: str) -> str:
    before = None
    while before != phrase:
        before, phrase = phrase, _LEADING.sub("", phrase.lstrip(" ,.'’‘-–—/"))
    return phrase


def _cut_trailing(phrase: str) -> str:
    before = None
    while before != phrase:
        before, phrase = phrase, _TRAILING.sub("", phrase).rstrip(" ,.'’‘-–—/")
    return phrase


def _shorten(words: list[str], max_words: int) -> list[str]:
    """End before a preposition where there is one: half a noun phrase reads as nonsense."""
    for place in range(max_words, 2, -1):
        if words[place].lower() in _PREPOSITIONS:
            return words[:place]
    return words[:max_words]


def _lower_first(phrase: str) -> str:
    """`Increasing dose` becomes `increasing dose`; `DNA repair` and `HbA1c` stay."""
    first = phrase.split(" ", 1)[0]
    is_plain = first[1:].islower() and first[:1].isupper() and not first.endswith("’s")
    return phrase[:1].lower() + phrase[1:] if is_plain and len(first) > 2 else phrase


def _is_usable(phrase: str) -> bool:
    words = content_words(phrase)
    if not words or len(phrase) < 4 or len(phrase) > 120:
        return False
    return any(len(word) > 2 and word not in _EMPTY and not word.isdigit() for word in words)
