"""The gate's benchmark: its parts over tiny loads here, its promises about memory in the soak."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks import gate_corpus
from benchmarks.bench_gate_duplicates import judge_copies, measure_copies, plant
from benchmarks.bench_gate_export import measure_forms, measure_writer
from benchmarks.bench_gate_rules import measure_all, measure_each, measure_hostile, measure_ratio
from benchmarks.corpus_statistics import statistics_of
from benchmarks.gate_corpus import FAULTS, Corpus, open_corpus
from benchmarks.gate_rules_re import translate
from distill.logic.rules import RULES
from nexa_site.env import BASE_DIR


@pytest.fixture(scope="module", autouse=True)
def _few_sentences() -> Iterator[None]:
    """Twenty thousand sentences are more than so few texts need."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate_corpus, "_NUM_SENTENCES", 1_000)
        yield


def test_texts_depend_on_seed_and_number_alone() -> None:
    corpus, again = open_corpus(seed=1), Corpus(seed=1)
    assert [corpus.row(number) for number in (3, 1)] == [again.row(number) for number in (3, 1)]
    assert corpus.row(1) != open_corpus().row(1)


def test_faults_are_planted_at_their_rates() -> None:
    planted = [open_corpus().planted(number) for number in range(2000)]
    assert 0.15 < sum(map(bool, planted)) / 2000 < 0.25
    assert set(planted) == {"", *FAULTS}
    assert set(FAULTS) <= {rule.code.value for rule in RULES}


def test_texts_have_the_statistics_of_what_was_counted() -> None:
    with (BASE_DIR / "benchmarks" / "gate_corpus.json").open() as file:
        wanted = json.load(file)
    texts = [open_corpus().row(number) for number in range(300)]
    found = statistics_of([one.source for one in texts])
    for name in ("number", "comma", "parenthesis"):
        assert found["marks"][name] == pytest.approx(wanted["marks"][name], rel=0.3)
    assert found["sentence_words"][10] == pytest.approx(wanted["sentence_words"][10], abs=2)
    assert found["word_chars"][10] == pytest.approx(wanted["word_chars"][10], abs=2)


def test_the_rules_find_what_was_planted_and_agree_with_re() -> None:
    everything = measure_all(rows=200)
    assert everything["found"] > 0.9
    assert 0 < everything["passed_share"] < 1
    assert measure_ratio(rows=60, rounds=1)["rules_ratio"] > 0
    assert set(measure_each(rows=20)) == {rule.code.value for rule in RULES}
    assert measure_hostile(chars=200, most=2)["rules_hostile_ratio"] > 0


def test_patterns_are_put_into_pythons_dialect() -> None:
    assert translate(r"\p{Lu}[\p{L}'’-]+").fullmatch("Émile-É")
    assert not translate("a$").search("a\n")
    assert translate(r"(?-u:\b)b").search("éb")


def test_copies_are_held_against_the_truth() -> None:
    figures = measure_copies(rows=400, rounds=1)
    assert figures["duplicates_recall"] >= 0.99
    assert figures["duplicates_precision"] >= 0.99
    texts, clusters = plant(400, random.Random("duplicates"))
    # Whoever drops nothing has found nothing.
    assert judge_copies(texts, clusters, [])["duplicates_recall"] == 0


def test_the_writer_is_measured_in_all_its_forms() -> None:
    assert measure_writer(rows=40)["same_bytes"]
    assert all(rate > 0 for rate in measure_forms(rows=40, rounds=1).values())


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}


@pytest.mark.soak
def test_a_million_rows_are_exported_in_flat_memory_and_asked_what_if() -> None:
    argv = [sys.executable, "-m", "benchmarks.bench_gate", "--soak", "--only", "export,whatif"]
    done = subprocess.run(
        argv, cwd=BASE_DIR, env=_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["export_peak_mb"] <= 1.2 * figures["export_peak_mb_tenth"]
    assert figures["export_same_bytes"]
    assert figures["whatif_p95_ms_1m"] > 0
