from __future__ import annotations

import pytest

from distill.logic.reasons import Reason
from distill.logic.rules import RulesConfig, near_misses, rule_frame
from distill.logic.rules.science import CITATION, NO_ACTION_VERB, inflect
from distill.logic.types import RuleText
from tests.logic.rule_tables import CONFIG, check, findings, only


@pytest.mark.parametrize(
    ("verb", "forms"),
    [
        ("measure", "measure measures measured measuring"),
        ("assess", "assess assesses assessed assessing"),
        ("mix", "mix mixes mixed mixing"),
        ("wash", "wash washes washed washing"),
        ("vary", "vary varies varied varying"),
        ("assay", "assay assays assayed assaying"),
        ("run", "run runs ran running"),
        ("grow", "grow grows grew grown growing"),
        ("plot", "plot plots ploted ploting plotted plotting"),
        ("inhibit", "inhibit inhibits inhibited inhibiting inhibitted inhibitting"),
        ("heat", "heat heats heated heating"),
    ],
)
def test_a_verbs_forms_follow_from_its_base(verb, forms):
    assert inflect(verb) == tuple(forms.split())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Prepare the cells.", None),
        ("Density was MEASURED daily.", None),
        ("Comparing both arms", None),
        ("The model ran for 8 h", None),
        ("We stirred at 20 °C", None),
        ("(simulate)", None),
        ("Zellen-test", None),
        ("The premeasured attestation of mixtures", Reason.NO_ACTION_VERB),
        ("Growth depends on temperature.", Reason.NO_ACTION_VERB),
        ("", Reason.NO_ACTION_VERB),
    ],
)
def test_a_text_needs_an_action_verb_in_any_form(text, reason):
    check(NO_ACTION_VERB, text, reason)


@pytest.mark.parametrize("verb", CONFIG.action_verbs)
def test_every_verb_of_the_list_is_enough(verb):
    check(NO_ACTION_VERB, f"Then {verb} it", None)


def test_the_list_of_verbs_can_be_set():
    config = only(NO_ACTION_VERB).model_copy(update={"action_verbs": ("juggle",)})
    assert not findings(NO_ACTION_VERB, "He juggled.", config)
    assert findings(NO_ACTION_VERB, "We measured.", config)[0].detail == (
        "no action verb such as juggle"
    )


def test_an_empty_list_of_verbs_asks_for_none():
    config = only(NO_ACTION_VERB).model_copy(update={"action_verbs": ()})
    assert not findings(NO_ACTION_VERB, "Nothing.", config)


@pytest.mark.parametrize("verb", ["Measure", "mix up", "", "(a|b)"])
def test_a_verb_must_be_one_plain_word(verb):
    with pytest.raises(ValueError, match="lower-case word"):
        RulesConfig(action_verbs=(verb,))


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("as shown [12].", "[12]"),
        ("as shown[1, 2]", "[1, 2]"),
        ("as shown [3–5; 7]", "[3–5; 7]"),
        ("10 °C [ 1 ]", "[ 1 ]"),
        ("(Smith et al., 2020)", "et al."),
        ("Smith et al found", "et al"),
        ("(Smith, 2020)", "(Smith, 2020)"),
        ("(see O’Neill & Jones 2020b; Lee, 2019)", "(see O’Neill & Jones 2020b; Lee, 2019)"),
        ("[Müller, 1999]", "[Müller, 1999]"),
        ("Smith and Jones (2019) found", "Smith and Jones (2019)"),
        (r"as in \cite{smith} and", r"\cite{"),
        (r"as in \parencite[p. 3]{smith}", r"\parencite[p. 3]{"),
        ("doi:10.1000/182", "doi:10.1000/182"),
        ("DOI : x", "DOI : x"),
        ("https://doi.org/10.1000/182", "https://doi.org/10.1000/182"),
        ("see 10.1038/s41586-020-2649-2", "10.1038/s41586-020-2649-2"),
        ("arXiv:2006.10256", "arXiv:2006"),
        ("PMID: 123456", "PMID: 123456"),
        ("PMC7605590", "PMC7605590"),
        ("www.example.org/x", "www.example.org/x"),
        ("as known (ref)", "(ref)"),
        ("as known (Refs. 3, 4)", "(Refs. 3, 4)"),
        ("as known [citation needed]", "[citation needed]"),
        ("note[^1]", "[^1]"),
        ("as [@smith2020] says", "[@s"),
        # Judgement calls: both read as citations, and both can be said without a doubt.
        ("at [5, 20] °C", "[5, 20]"),
        ("(March, 2020)", "(March, 2020)"),
    ],
)
def test_a_citation_is_found_where_it_is(text, quoted):
    check(CITATION, text, Reason.CITATION, quoted)


@pytest.mark.parametrize(
    "text",
    [
        "[Ca2+] rises to 2 µM",
        "[NaCl] = 0.1 M",
        "scaled to [0, 1] and [0, 100]",
        "[60]fullerene and [1,2,4]triazolo[1,5-a]pyrimidine",
        "bicyclo[2.2.1]heptane by [2+2] cycloaddition",
        "[2020] and [5 mM] and [a, b]",
        "(in 2020) (Boston 2020) (March 2020) (n = 12)",
        "the reference (reference sample) and a referee",
        "metal and steel; et alii",
        "preprints, dois and links in general",
        "ratio 10.5/3, version 10.12",
        "Cells (12) and (1, 2)",
        "excite{x}",
        "",
    ],
)
def test_what_only_looks_like_a_citation_is_left_alone(text):
    check(CITATION, text, None)


def test_the_detail_quotes_on_one_short_line():
    detail = findings(CITATION, "https://example.org/" + "x" * 100)[0].detail
    assert len(detail) == 62
    assert detail.endswith('x…"')


def test_a_text_that_hangs_on_one_verb_is_near():
    texts = [RuleText(text) for text in ("We measured it.", "Mix and measure.", "Growth.")]
    near = near_misses(rule_frame(texts), NO_ACTION_VERB, only(NO_ACTION_VERB))
    assert near.to_list() == [0.5, None, None]
