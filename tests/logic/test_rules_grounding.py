from __future__ import annotations

import polars as pl
import pytest

from distill.logic.reasons import Reason
from distill.logic.rules import RulesConfig, apply_rules, examine, rule_frame
from distill.logic.rules.grounding import COPIED_SOURCE, OFF_SOURCE
from distill.logic.types import Evidence, RuleText
from tests.logic.rule_tables import only

SOURCE = (
    "Programmed cell death is the regulated death of cells within an organism. The lace plant "
    "produces perforations in its leaves. Mitochondria were stained with a dye and examined along "
    "a gradient of dying cells, and their motility and membrane potential were recorded for each "
    "stage. Cyclosporine treated leaves formed fewer perforations than leaves of untreated plants."
)
OWN = (
    "Blocking the mitochondrial pore with cyclosporine will lower the number of perforations in "
    "lace plant leaves by at least 20 % relative to untreated plants."
)
OTHER = (
    "Statin therapy will reduce the rate of stroke in elderly patients with hypertension by at "
    "least 20 % relative to placebo after 12 months."
)
METHOD = "1. Prepare it.\n2. Measure it against a control."


def found(rule, hypothesis, source=SOURCE, *, method=METHOD, **values) -> tuple[Evidence, ...]:
    text = RuleText(
        f"{hypothesis}\n\n{method}", source, {"hypothesis": hypothesis, "methodology": method}
    )
    return apply_rules([text], only(rule).model_copy(update=values))[0]


def measures(*texts: RuleText) -> pl.DataFrame:
    return examine(rule_frame(texts), RulesConfig()).select("copied", "overlap")


def test_a_hypothesis_in_its_own_words_about_the_source_is_left_alone():
    assert found(COPIED_SOURCE, OWN) == found(OFF_SOURCE, OWN) == ()


def test_a_well_formed_answer_about_something_else_is_off_the_source():
    (finding,) = found(OFF_SOURCE, OTHER)
    assert finding == Evidence(
        Reason.OFF_SOURCE, "0% of its content words stand in the source, at least 12% should"
    )


def test_a_copied_hypothesis_is_found_with_the_longest_copy():
    copied = "Naïvely – " + SOURCE[:150]
    (finding,) = found(COPIED_SOURCE, copied)
    assert finding.reason is Reason.COPIED_SOURCE
    quoted = copied[finding.start : finding.end]
    assert SOURCE.startswith(quoted)
    assert len(quoted) > 130
    assert "at most 60% may; the longest copy: " in finding.detail


def test_a_copied_method_is_found_too():
    (finding,) = found(COPIED_SOURCE, "", method=SOURCE)
    assert (finding.start, finding.end) == (2, 2 + len(SOURCE) - 1)


def test_case_quotation_marks_and_dashes_hide_no_copy():
    disguised = "“" + SOURCE[:150].upper().replace(" ", "\u00a0") + "” – so"
    assert found(COPIED_SOURCE, disguised)


def test_a_copied_half_is_no_copy():
    half = f"{OWN} {SOURCE[:100]}"
    assert not found(COPIED_SOURCE, half)
    assert found(COPIED_SOURCE, half, max_copied=0.1)


def test_the_least_overlap_can_be_set():
    assert found(OFF_SOURCE, OWN, min_overlap=0.95)
    assert not found(OFF_SOURCE, OTHER, min_overlap=0.0)


@pytest.mark.parametrize("source", ["", " ", "Explain how plants remodel their leaves.", "§§ – …"])
def test_without_a_source_nothing_is_measured(source):
    text = RuleText(OTHER, source, {"hypothesis": OTHER})
    assert measures(text)["overlap"].to_list() == [None]
    assert not found(OFF_SOURCE, OTHER, source)
    assert not found(COPIED_SOURCE, OTHER, source)


@pytest.mark.parametrize("text", ["", "Yes.", "12 34 56 78 90 12", "°°° – …"])
def test_too_few_words_are_not_measured(text):
    assert measures(RuleText(text, SOURCE))["overlap"].to_list() == [None]


def test_a_completion_without_a_hypothesis_is_measured_as_a_whole():
    shares = measures(RuleText(OWN, SOURCE), RuleText(OTHER, SOURCE))["overlap"]
    assert shares[0] > 0.5
    assert shares[1] == 0.0


def test_endings_of_long_words_do_not_matter():
    text = RuleText("Mitochondrial cyclosporines perforating organisms", SOURCE)
    assert measures(text)["overlap"].to_list() == [1.0]


def test_copied_counts_runs_of_five_words():
    shares = measures(
        RuleText("The lace plant produces perforations", SOURCE),
        RuleText("The lace plant produces perforations – not", SOURCE),
        RuleText("The lace plant produces", SOURCE),
    )["copied"]
    assert shares.to_list() == [1.0, 0.5, None]


def test_words_do_not_run_from_one_completion_into_the_next():
    batch = [RuleText("The lace plant", SOURCE), RuleText("produces perforations in", SOURCE)]
    assert measures(*batch)["copied"].to_list() == [None, None]
    alone = [RuleText(OWN, SOURCE), RuleText(OTHER, ""), RuleText("é", "ü"), RuleText(SOURCE, OWN)]
    together = measures(*alone * 700)
    assert together[:4].equals(pl.concat([measures(text) for text in alone]))
    assert together[-4:].equals(together[:4])


def test_what_follows_the_claim_needs_no_words_of_the_source():
    method = "Anneal pristine wafers, deposit nickel, image dislocations by tomography. " * 20
    assert not found(OFF_SOURCE, "", method=f"{OWN} Perforations of lace plant leaves. {method}")
