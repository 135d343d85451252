from __future__ import annotations

import pytest

from distill.logic.reasons import Reason
from distill.logic.rules.personal_data import PERSONAL_DATA
from tests.logic.rule_tables import check


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("write to jane.doe+lab@uni-x.ac.uk for it", "jane.doe+lab@uni-x.ac.uk"),
        ("Übung °: A_B@example.org.", "A_B@example.org"),
        ("call +49 30 1234567 now", "+49 30 1234567"),
        ("call +1 (555) 123-4567", "+1 (555) 123-4567"),
        ("at (555) 123-4567", "(555) 123-4567"),
        ("at 555-123-4567", "555-123-4567"),
        ("Tel.: 030 123 45 67", "Tel.: 030 123 45 67"),
        ("SSN 123-45-6789", "123-45-6789"),
        ("Maria, date of birth: 12/03/1960", "date of birth: 12/03/1960"),
        ("he was born on 12 March 1960", "born on 12 March 1960"),
        ("DOB 1960-03-12", "DOB 1960-03-12"),
        ("MRN: 00123456", "MRN: 00123456"),
        ("patient ID AB-12345", "patient ID AB-12345"),
        ("NHS number 943 476 5919", "NHS number 943 476 5919"),
        ("the patient named Müller", "patient named Müller"),
        ("from 192.168.10.7 it", "192.168.10.7"),
        ("her home at 47.3769, 8.5417", "home at 47.3769, 8.5417"),
        ("home: 47.3769° N, 8.5417° E", "home: 47.3769° N, 8.5417°"),
    ],
)
def test_what_tells_who_a_person_is_is_found_where_it_is(text, quoted):
    check(PERSONAL_DATA, text, Reason.PERSONAL_DATA, quoted)


@pytest.mark.parametrize(
    "text",
    [
        "doi:10.1038/s41586-020-2649-2",
        "GenBank NM_001301717.2, GSE12345, rs123456, PRJNA123456",
        "CAS 7732-18-5, catalogue number A-1234-5678, ISBN 978-3-16-148410-0",
        "p < 0.0001; p = 0.05; 95 % CI 1.20-3.45",
        "on 12/03/2020, 2020-03-12 and 12 March 2020",
        "enzyme 3.4.21.4 (EC 3.4.21.4)",
        "version 1.2.3 and 2.10.14393.0",
        "+20 % and +37 °C and +5.5 V, charges +1 +2",
        "sampled at 47.3769, 8.5417",
        "patient number 3 of 12; infants born in 1980",
        "10 000 000 cells at 1 000 rpm; 120-130 K",
        "precision@k, user@ and @home",
        "patients called back",
        "",
    ],
)
def test_numbers_of_other_things_are_left_alone(text):
    check(PERSONAL_DATA, text, None)
