"""Rules on what a pair claims and plans: a prediction that can fail, a procedure that can be run.

Both count cues: kinds of words that such a text cannot do without. They read no meaning; a judge
does. What they catch is the form without substance ("may play some role", "collect the data").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from distill.logic.reasons import Reason
from distill.logic.rules.base import Rule, RulesConfig, near_above, with_ascii_edges
from distill.logic.types import Evidence


@dataclass(frozen=True, slots=True)
class Cue:
    """One kind of words: its name for people, and the pattern that finds one."""

    name: str
    pattern: str


def _cue(name: str, pattern: str) -> Cue:
    return Cue(name, with_ascii_edges(f"(?i){pattern}"))


PREDICTION_CUES = (
    _cue(
        "variable or comparison",
        r"\b(?:than|versus|vs|relative to|compared|comparison|baseline|controls?|without|untreated"
        r"|wild[- ]type|placebo|if|when|whether|depends? on|dependent on|as a function of|due to"
        r"|effects? of|response to|(?:associat|correlat|relat)[a-z]+ (?:with|to|between)"
        r"|between [^.\n]{1,80} and|causes?|leads? to|results? in|treat(?:ed|ment|ing)"
        r"|(?:add|chang|delet|expos|inhibit|knock|overexpress|remov|replac|vary)[a-z]*)\b",
    ),
    _cue(
        "direction of the effect",
        r"\b(?:increas|decreas|reduc|rais|lower|ris|improv|impair|inhibit|enhanc|suppress|promot"
        r"|accelerat|slow|prevent|prolong|shorten|shrink|grow|declin|attenuat|diminish|elevat"
        r"|abolish|restor|worsen|doubl|halv|outperform|exceed|correlat|drop|weaken|strengthen"
        r"|amplif|extend|delay|limit|boost|augment|eliminat|facilitat|minimi[sz]|maximi[sz]"
        r"|up-?regulat|down-?regulat)[a-z]*\b"
        r"|\b(?:higher|greater|larger|smaller|fewer|longer|faster|better|worse|stronger"
        r"|weaker|positively|negatively|inversely|fall|falls|unchanged|unaffected|equal"
        r"|(?:less|more) [^.\n]{0,60}\bthan|no (?:change|correlation|difference|effect))\b",
    ),
    _cue(
        "measurable outcome",
        r"\b(?:rates?|concentrations?|levels?|yields?|survival|mortality|accuracy|scores?|number"
        r"|percentage|fraction|proportion|frequency|incidence|prevalence|risks?|odds|ratio|loss"
        r"|errors?|sensitivity|specificity|expression|activity|intensity|density|volume|weight|mass"
        r"|length|size|diameter|thickness|duration|time|latency|velocity|speed|temperature|pressure"
        r"|energy|power|strength|conductivity|resistance|viscosity|absorbance|fluorescence|titer"
        r"|titre|amount|counts?|index|performance|efficiency|efficacy|variance|recall|precision"
        r"|perplexity|reward|throughput|costs?|growth|viability|abundance|half-life|gradient"
        r"|symptoms|recurrence|adherence)\b"
        r"|\d\s?(?:%|percent|percentage points?|-?fold|[mµμn]?M\b|[mµμnk]?g\b|m[lL]\b|[cmnµμk]?m\b"
        r"|°C|K\b|s\b|min\b|h\b|days?\b|weeks?\b|months?\b|years?\b|[kMG]?Pa\b|[kMG]?Hz\b|m?V\b)"
        r"|\bby at least\b|\bp\s?[<=]\s?0?\.\d",
    ),
)

_STEPS = (
    r"(?s:\b1[.):]\s.*\b2[.):]\s)|(?s:\bstep (?:1|one)\b.*\bstep (?:2|two)\b)"
    r"|(?s:\b(?:first|begin)\b.*\b(?:then|second|next|afterwards|subsequently|finally|lastly)\b)"
    r"|\S[^\n]*\n\s*\S[^\n]*\n\s*\S"
)
METHOD_CUES = (
    _cue(
        "system or material",
        r"\b(?:cells?|cultures?|mice|mouse|rats?|zebrafish|drosophila|yeast|animals?|dogs?|pigs?"
        r"|rabbits?|patients?|participants?|volunteers?|subjects?|individuals|people|adults"
        r"|children|infants|women|men|cohort|population|cases|sites|samples?|specimens?|tissues?"
        r"|plants?|leaves|seedlings?|strains?|bacteria|virus|proteins?|enzymes?|DNA|RNA|plasmids?"
        r"|data ?sets?|benchmarks?|corpus|models?|simulat[a-z]+|networks?|splits?|images"
        r"|substrates?|films?|alloys?|wafers?|crystals?|solutions?|buffers?|catalysts?|electrodes?"
        r"|polymers?|membranes?|reactors?|powders?|particles?|nanoparticles?|lasers?|soils?"
        r"|sediments?|detectors?|circuits?|devices?|reagents?|compounds?|mixtures?)\b"
        r"|\bn\s?=\s?\d",
    ),
    _cue(
        "perturbation",
        r"\b(?:treat|expos|administ|inject|incubat|knock|delet|overexpress|transfect|transduc"
        r"|irradiat|heat|cool|anneal|appl|assign|randomi[sz]|perturb|introduc|replac|ablat|remov"
        r"|stimulat|inhibit|infus|inoculat|immuni[sz]|feed|starv|dop|deposit|load|mutat|silenc"
        r"|manipulat|intervention|alter|vari|vary|grad|dos|concentration|titrat|increas|decreas"
        r"|train with|fine-?tun|chang|add|supplement|hold)[a-z]*\b",
    ),
    _cue(
        "control or comparison",
        r"\b(?:controls?|controlled|placebo|sham|baselines?|untreated|wild[- ]type|vehicle|blanks?"
        r"|reference|compar[a-z]+|versus|vs|matched|without|ablations?|mock|isogenic|unmodified"
        r"|pristine|null model)\b",
    ),
    _cue(
        "readout",
        r"\b(?:measur|quantif|record|assay|evaluat|monitor|imag|scor|count|detect|estimat|weigh"
        r"|spectr|microscop|chromatograph|sequenc|calculat|comput|log|track|rate|assess)[a-z]*\b"
        r"|\b(?:[qR]T-)?q?PCR\b|\b(?:ELISA|HPLC|XRD|SEM|TEM|NMR|MRI|absorbance|fluorescence"
        r"|accuracy|endpoint|outcomes?|readouts?|western blots?|flow cytometry)\b",
    ),
    _cue("ordered steps", _STEPS),
)


def _counted(column: str, cues: tuple[Cue, ...]) -> pl.Expr:
    """How many kinds the column's text has; null where there is no text."""
    text = pl.col(column)
    kinds = [text.str.contains(cue.pattern).cast(pl.Int64) for cue in cues]
    return pl.when(text.str.contains(r"\S")).then(pl.sum_horizontal(kinds))


def _cue_rule(
    code: Reason,
    *,
    column: str,
    cues: tuple[Cue, ...],
    measure: str,
    setting: str,
    says: str,
) -> Rule:
    """The rule that a field must have at least as many kinds of cues as the setting says."""

    def measures(_config: RulesConfig) -> Mapping[str, pl.Expr]:
        return {measure: _counted(column, cues)}

    def hits(config: RulesConfig) -> pl.Expr:
        too_few: pl.Expr = pl.col(measure) < getattr(config, setting)
        return too_few.fill_null(value=False)

    def evidence(frame: pl.DataFrame, config: RulesConfig) -> list[Evidence]:
        has = frame.select(pl.col(column).str.contains(cue.pattern).alias(cue.name) for cue in cues)
        wanted = f"{getattr(config, setting)} of {len(cues)} kinds are needed"
        return [
            Evidence(code, f"no {', no '.join(_missing(row))}; {wanted}")
            for row in has.iter_rows(named=True)
        ]

    def nearness(config: RulesConfig) -> pl.Expr:
        return near_above(pl.col(measure), getattr(config, setting))

    return Rule(code, hits, evidence, measures, nearness, says, (setting,))


def _missing(row: Mapping[str, bool]) -> list[str]:
    return [name for name, is_there in row.items() if not is_there]


NO_PREDICTION = _cue_rule(
    Reason.NO_PREDICTION,
    column="hypothesis",
    cues=PREDICTION_CUES,
    measure="prediction_cues",
    setting="min_prediction_cues",
    says="Drops hypotheses that no observation could refute: they name too few of a variable or "
    "comparison, a direction and a measurable outcome.",
)
NO_PROCEDURE = _cue_rule(
    Reason.NO_PROCEDURE,
    column="method",
    cues=METHOD_CUES,
    measure="method_cues",
    setting="min_method_cues",
    says="Drops methods that nobody could carry out: they name too few of a system, a perturbation, a "
    "control, a readout and ordered steps.",
)
