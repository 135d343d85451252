"""The rules in figures: rows a second, against `re`, over hostile texts, in flat memory.

Each measurement runs in a process of its own (`benchmarks.gate_worker`), where the texts of one
batch are in memory at a time, and polars has the threads that it was told to have. Texts are
written and read outside the measured time.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import polars as pl

from benchmarks.engine_site import Measured
from benchmarks.gate_corpus import Corpus, open_corpus
from benchmarks.gate_rules_re import COMPARED, compile_checks, only_compared, passes
from benchmarks.gate_worker import in_own_process, peak_mb
from distill.logic.rules import RULES, Rule, RulesConfig, apply_rules, examine, rule_frame
from distill.logic.types import RuleText
from tests.logic.hostile_texts import hostile_texts

_BATCH = 5_000
_HERE = "benchmarks.bench_gate_rules"
# The figures that were promised by name, and the rule that each is about.
_NAMED = {
    "overlap_rows_per_s": "copied_source",
    "repetition_rows_per_s": "repetition",
    "language_rows_per_s": "other_language",
}


def measure_rules(*, rows: int, rounds: int, say: Callable[[str], None]) -> Measured:
    """Everything about the rules; `rows` is the larger load, a quarter of it the smaller."""
    large = in_own_process(_HERE, "measure_all", rows=rows)
    say(f"all rules, all reasons: {large['rows_per_s']:,} rows/s over {rows:,} of 2 kB")
    small = in_own_process(_HERE, "measure_all", rows=rows // 4)
    single = in_own_process(_HERE, "measure_all", threads=1, rows=rows // 4)
    compared = in_own_process(_HERE, "measure_ratio", threads=1, rows=rows // 100, rounds=rounds)
    say(f"four rules: {compared['rules_compared_rows_per_s']:,} rows/s, {compared}")
    by_code = in_own_process(_HERE, "measure_each", threads=1, rows=min(rows // 10, _BATCH))
    hostile = in_own_process(_HERE, "measure_hostile", threads=1, chars=50_000)
    return {
        "rules_rows_per_s": large["rows_per_s"],
        "rules_rows_per_s_one_thread": single["rows_per_s"],
        "rules_cpu_us_per_row": single["cpu_us"],
        "rules_passed_share": large["passed_share"],
        "rules_hits": large["hits"],
        "rules_planted_found_share": large["found"],
        **compared,
        **{name: by_code.get(code) for name, code in _NAMED.items()},
        "rules_rows_per_s_by_code": by_code,
        # By CPU time: other work on the machine comes and goes between the two.
        "rules_linear_ratio": round(small["cpu_us"] / large["cpu_us"], 3),
        "rules_peak_mb": large["peak_mb"],
        "rules_peak_mb_quarter": small["peak_mb"],
        "rules_memory_ratio": round(large["peak_mb"] / small["peak_mb"], 3),
        **hostile,
    }


def measure_all(rows: int) -> Measured:
    """Every rule with all its reasons and evidence, as a run's writer asks for them."""
    corpus, config = open_corpus(), RulesConfig()
    apply_rules(list(corpus.rows(0, 50)), config)
    seconds = cpu = 0.0
    passed, hits, found = 0, Counter[str](), Counter[bool]()
    for start in range(0, rows, _BATCH):
        numbers = range(start, min(start + _BATCH, rows))
        texts = [corpus.row(number) for number in numbers]
        began, cpu_began = time.perf_counter(), time.process_time()
        findings = apply_rules(texts, config)
        seconds += time.perf_counter() - began
        cpu += time.process_time() - cpu_began
        codes = [{finding.reason.value for finding in one} for one in findings]
        passed += sum(not one for one in codes)
        hits.update(code for one in codes for code in one)
        found.update(_found(corpus, numbers, codes))
    return {
        "rows_per_s": round(rows / seconds),
        "cpu_us": round(1e6 * cpu / rows, 1),
        "passed_share": round(passed / rows, 4),
        "hits": dict(hits.most_common()),
        "found": round(found[True] / found.total(), 4),
        "peak_mb": peak_mb(),
    }


def _found(corpus: Corpus, numbers: range, codes: Sequence[set[str]]) -> Iterator[bool]:
    """Of each fault that was planted, whether the rule that is to find it did."""
    for number, found in zip(numbers, codes, strict=True):
        if planted := corpus.planted(number):
            yield planted in found


def measure_ratio(rows: int, rounds: int) -> Measured:
    """Length, verbs, citations and formatting, in turns with `re` row by row over the same texts.

    Both start from Python's strings, and must let the same texts pass.
    """
    texts = list(open_corpus().rows(0, rows))
    config = only_compared(RulesConfig())
    checks = compile_checks(config)
    counts = (_count_in_columns(texts, config), sum(passes(one.text, checks) for one in texts))
    if counts[0] != counts[1]:
        raise RuntimeError(f"the rules let {counts[0]} pass, `re` lets {counts[1]}")
    columnar, by_row = [], []
    for _round in range(rounds):
        columnar.append(_seconds(lambda: _count_in_columns(texts, config)))
        by_row.append(_seconds(lambda: [passes(one.text, checks) for one in texts]))
    return {
        "rules_ratio": round(
            statistics.median(slow / fast for slow, fast in zip(by_row, columnar, strict=True)), 1
        ),
        "rules_compared_rows_per_s": round(rows / statistics.median(columnar)),
        "rules_re_rows_per_s": round(rows / statistics.median(by_row)),
    }


def _count_in_columns(texts: Sequence[RuleText], config: RulesConfig) -> int:
    frame = examine(rule_frame(texts), config)
    hit = frame.select(pl.any_horizontal([code.value for code in COMPARED])).to_series()
    return len(texts) - int(hit.sum())


def measure_each(rows: int) -> Measured:
    """Rows a second of each rule alone: its measures and hits, without evidence."""
    frame, config = rule_frame(list(open_corpus().rows(0, rows))), RulesConfig()
    return {
        rule.code.value: round(rows / _fastest(partial(_hits, frame, rule, config)))
        for rule in RULES
    }


def _hits(frame: pl.DataFrame, rule: Rule, config: RulesConfig) -> pl.DataFrame:
    measures = [one.alias(name) for name, one in rule.measures(config).items()]
    return frame.with_columns(measures).select(rule.hits(config).alias("hit"))


def measure_hostile(chars: int, most: int | None = None) -> Measured:
    """Time a character over texts made to be slow, of so many characters and of four times as many.

    `most`: so many of the texts.
    """
    config = RulesConfig(max_chars=10 * chars)
    by_name = []
    for size in (chars, 4 * chars):
        texts = {name: _alone(text) for name, text in list(hostile_texts(size).items())[:most]}
        apply_rules(list(texts.values())[:3], config)
        by_name.append(
            {
                name: _fastest(partial(apply_rules, [text], config)) / len(text.text)
                for name, text in texts.items()
            }
        )
    short, long = by_name
    worst = max(short, key=lambda name: long[name] / short[name])
    return {
        "rules_hostile_ns_per_char": round(1e9 * statistics.mean(short.values()), 1),
        "rules_hostile_ns_per_char_4x": round(1e9 * statistics.mean(long.values()), 1),
        "rules_hostile_ratio": round(sum(long.values()) / sum(short.values()), 2),
        "rules_hostile_worst_ratio": round(long[worst] / short[worst], 2),
        "rules_hostile_worst": worst,
    }


def _alone(text: str) -> RuleText:
    return RuleText(text, text, {"hypothesis": text, "methodology": text})


def _fastest(action: Callable[[], object]) -> float:
    return min(_seconds(action) for _ in range(3))


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
