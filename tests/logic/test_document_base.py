from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import ValidationError

from distill.logic.documents import Document, between


class Oven(Document):
    celsius: Annotated[float, between(20, 300)] = 180
    trays: Annotated[int, between(1, 4)] = 1


def complaint(**values):
    with pytest.raises(ValidationError) as caught:
        Oven(**values)
    return caught.value.errors()[0]["msg"]


@pytest.mark.parametrize("celsius", [20, 300, 180.5])
def test_the_ends_of_a_range_are_inside(celsius):
    assert Oven(celsius=celsius).celsius == celsius


def test_a_value_out_of_range_names_value_and_range():
    assert complaint(celsius=301) == "301 is out of range, allowed is 20 to 300"
    assert complaint(celsius=float("nan")) == "nan is out of range, allowed is 20 to 300"


@pytest.mark.parametrize("value", [True, "180", None, [180]])
def test_what_is_no_number_is_refused(value):
    assert complaint(celsius=value) == "must be a number from 20 to 300"


def test_half_a_tray_is_refused():
    assert "fractional" in complaint(trays=1.5)


def test_an_unknown_key_gets_the_nearest_known_one():
    assert complaint(celcius=1) == 'unknown key "celcius", did you mean "celsius"?'


def test_an_unknown_key_without_a_neighbour_gets_them_all():
    assert complaint(**{"{x}": 1}) == 'unknown key "{x}", known are celsius, trays'


def test_something_else_than_a_mapping_is_refused():
    with pytest.raises(ValidationError):
        Oven.model_validate([1])


def test_a_document_cannot_be_changed():
    with pytest.raises(ValidationError):
        Oven().trays = 2  # type: ignore[misc]  # which is what mypy says, too
