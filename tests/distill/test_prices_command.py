"""`manage.py prices`: show the price list, write it to a file, take it from one."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from distill.logic.price_table import dump_price_table, load_price_table
from distill.models import PriceList
from distill.queries.prices import current_table, newest_price_list, shipped_table
from tests.distill.test_price_lists import a_table

pytestmark = pytest.mark.django_db


def prices(*args: object, **options: object) -> str:
    out = io.StringIO()
    call_command("prices", *map(str, args), stdout=out, **options)
    return out.getvalue()


def test_the_shipped_prices_are_shown_before_there_is_a_version():
    shown = prices()
    assert "The shipped table, as of" in shown
    assert "openai:gpt-4o-mini" in shown
    assert not PriceList.objects.exists()


def test_what_is_exported_is_imported_again_and_makes_nothing_new(tmp_path):
    file = tmp_path / "prices.yaml"
    assert str(file) in prices("export", file)
    assert (
        load_price_table(file.read_text()) == shipped_table() == load_price_table(prices("export"))
    )
    assert "Nothing new" in prices("import", file)
    assert PriceList.objects.count() == 1


def test_an_import_makes_a_version_with_its_note(tmp_path):
    file = tmp_path / "prices.yaml"
    file.write_text(dump_price_table(a_table()))
    assert "Saved as" in prices("import", file, note="ours")
    assert "Nothing new" in prices("import", file)
    assert current_table() == a_table()
    assert newest_price_list().note == "ours"
    assert "test:model  in 1, out 2" in prices()


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"prices: {}\n", "as_of"), (b"\xff", "not UTF-8"), (b"as_of: [", "line 1")],
)
def test_a_bad_file_is_refused_with_what_is_wrong(tmp_path, content, told):
    file = tmp_path / "prices.yaml"
    file.write_bytes(content)
    with pytest.raises(CommandError, match=told):
        prices("import", file)
    assert current_table() == shipped_table()


def test_an_import_needs_a_file(tmp_path):
    with pytest.raises(CommandError, match="Name the file"):
        prices("import")
    with pytest.raises(CommandError, match=r"missing\.yaml"):
        prices("import", tmp_path / "missing.yaml")
