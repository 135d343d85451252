from __future__ import annotations

import pytest

from distill.logic.reasons import Reason
from distill.logic.rules.language import FUNCTION_WORDS, OTHER_LANGUAGE
from tests.logic.rule_tables import GOOD, check, examined, findings, nearness, only

OTHER = Reason.OTHER_LANGUAGE
FOREIGN = {
    "de": (
        "Die Wachstumsrate der Zellen wird durch die höhere Temperatur des Mediums verringert, weil "
        "die Ribosomen nicht mehr von der Zelle gebildet werden."
    ),
    "fr": (
        "Le taux de croissance des cellules est réduit par la température élevée dans le milieu, "
        "parce que les ribosomes ne sont plus produits par la cellule."
    ),
    "es": (
        "La tasa de crecimiento de las células es menor con la temperatura alta del medio, ya que "
        "los ribosomas no son producidos por la célula en cada fase."
    ),
    "it": (
        "Il tasso di crescita delle cellule è ridotto dalla temperatura più alta del mezzo, e i "
        "ribosomi non sono prodotti dalla cellula con la stessa velocità di una cellula fredda."
    ),
    "pt": (
        "A taxa de crescimento das células é menor com uma temperatura mais alta do meio, e os "
        "ribossomos não são produzidos por cada célula nas fases em que foram medidos."
    ),
    "nl": (
        "De groei van de cellen wordt door het warme water niet meer bepaald, en het aantal cellen "
        "is met een hogere temperatuur van het medium voor elke fase te laag."
    ),
    "sv": (
        "Cellernas tillväxt är lägre vid hög temperatur, och det beror på att ribosomerna inte "
        "bildas av den cell som har vuxit från en kall miljö till en varm."
    ),
    "pl": (
        "Wzrost komórek jest mniejszy przy wysokiej temperaturze, oraz nie jest zależny od tego, "
        "jak białka były w komórce przez każdy z etapów lub po nich na co dzień."
    ),
}


@pytest.mark.parametrize("code", FOREIGN)
def test_a_text_in_another_language_is_found(code):
    found = findings(OTHER_LANGUAGE, FOREIGN[code])
    assert [finding.reason for finding in found] == [OTHER]
    assert found[0].end > found[0].start


@pytest.mark.parametrize("code", FOREIGN)
def test_a_text_in_the_wanted_language_is_left_alone(code):
    wanted = only(OTHER_LANGUAGE).model_copy(update={"language": code})
    assert not findings(OTHER_LANGUAGE, FOREIGN[code], wanted)
    assert findings(OTHER_LANGUAGE, GOOD * 2, wanted)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("é 🧪 温度が上がると細胞の成長は遅くなる。", "温度が上がると細胞の成長は遅くなる"),
        ("DNA 细胞的生长速度随温度升高而降低。", "细胞的生长速度随温度升高而降低"),
        ("Рост клеток снижается", "Рост"),
        ("نمو الخلايا ينخفض", "نمو"),
    ],
)
def test_another_script_is_found_where_it_begins(text, quoted):
    check(OTHER_LANGUAGE, text, OTHER, quoted)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "Saccharina latissima, Escherichia coli, Mus musculus, Homo sapiens, Danio rerio, "
        "Arabidopsis thaliana, Drosophila melanogaster, Canis lupus familiaris",
        "TP53, BRCA1, EGFR, KRAS, MYC, PTEN, DES, VAN, DIE1, LES2, UND, POR, CON, MIT, AUS, SUR",
        "De novo synthesis in vivo, in vitro and ex vivo (et al.) of the des-acyl form",
        "∂u/∂t = α ∇²u + β, with α = 0.1 µm²/s and Δφ > 0, where ψ and ω are phases",
        "αβγδεζηθικλμνξοπρστυφχψω",
        "van der Waals forces and the de Broglie wavelength in a von Neumann entropy",
        "The Chinese name 细胞 is given for the cell in the first line of the record.",
        "NaCl 5 mM, KCl 2 mM, HEPES 10 mM",
        "",
    ],
)
def test_english_science_is_left_alone(text):
    check(OTHER_LANGUAGE, text, None)


def test_an_empty_language_takes_any():
    anything = only(OTHER_LANGUAGE).model_copy(update={"language": ""})
    for text in (*FOREIGN.values(), "Рост клеток снижается"):
        assert not findings(OTHER_LANGUAGE, text, anything)
        assert nearness(OTHER_LANGUAGE, text, anything) is None


def test_the_shares_are_measured():
    row = examined(OTHER_LANGUAGE, FOREIGN["de"])
    assert row["foreign_words"] > 0.8
    assert row["foreign_letters"] == 0.0
    assert examined(OTHER_LANGUAGE, "細胞ab")["foreign_letters"] == pytest.approx(0.5)


def test_half_foreign_text_is_a_near_miss():
    mixed = "The growth of the cells is lower in the warm water. " + FOREIGN["fr"][:60]
    assert nearness(OTHER_LANGUAGE, mixed) is not None
    assert nearness(OTHER_LANGUAGE, GOOD) is None
    assert set(FOREIGN) | {"en"} == set(FUNCTION_WORDS)
