"""The page on prices: who sees and changes it, bad documents, the shipped table again."""

from __future__ import annotations

import pytest
from django.urls import reverse

from distill.logic.price_table import dump_price_table
from distill.models import PriceList
from distill.queries.prices import current_table, shipped_table
from distill.services.price_lists import current_price_list, save_price_list
from tests.builders import make_user
from tests.distill.test_price_lists import a_table

pytestmark = pytest.mark.django_db

PRICES, EDIT = reverse("distill:prices"), reverse("distill:edit_prices")
RESTORE = reverse("distill:restore_prices")


@pytest.fixture
def operator(client):
    client.force_login(make_user("operator", name="olga"))
    return client


def write(client, document, **fields):
    return client.post(EDIT, {"document": document, **fields})


def test_before_the_first_run_the_shipped_table_is_shown(operator):
    page = operator.get(PRICES).text
    assert "openai:gpt-5.4-mini" in page
    assert "comes with the project" in page
    assert not PriceList.objects.exists()


def test_a_lead_reads_and_changes_nothing(client):
    client.force_login(make_user("lead"))
    assert "Change the prices" not in client.get(PRICES).text
    assert client.get(EDIT).status_code == 403
    assert write(client, dump_price_table(a_table())).status_code == 403
    assert client.post(RESTORE).status_code == 403
    assert not PriceList.objects.exists()


def test_a_reviewer_sees_no_prices(client):
    client.force_login(make_user("reviewer"))
    assert client.get(PRICES).status_code == 403


def test_a_change_is_saved_with_who_and_why_and_what(operator):
    first = current_price_list()
    form = operator.get(EDIT).text
    assert f'name="based_on" value="{first.pk}"' in form
    answer = write(operator, dump_price_table(a_table()), note="our contract", based_on=first.pk)
    assert answer.url == PRICES
    page = operator.get(PRICES).text
    assert current_table() == a_table()
    for told in ("test:model", "our contract", "olga", "<del>  openai:gpt-5.5:</del>"):
        assert told in page, told
    older = operator.get(f"{PRICES}?version={first.pk}").text
    assert "An older version" in older
    assert operator.get(f"{PRICES}?version=999999").status_code == 404


def test_the_first_change_follows_the_shipped_table(operator):
    write(operator, dump_price_table(a_table()))
    assert PriceList.objects.count() == 2
    assert current_table() == a_table()


def test_a_bad_document_is_shown_again_with_its_lines(operator):
    document = "as_of: 2026-11-23\nprices:\n  openai:x: {input_per_million: -1}\n"
    answer = write(operator, document)
    assert answer.status_code == 422
    assert "line 3" in answer.text
    assert "input_per_million: -1" in answer.text
    assert current_table() == shipped_table()


def test_saving_over_what_somebody_changed_is_refused(operator):
    first = current_price_list()
    save_price_list(table=a_table(3), based_on=first)
    answer = write(operator, dump_price_table(a_table(4)), based_on=first.pk)
    assert answer.status_code == 422
    assert "changed in between" in answer.text
    assert current_table() == a_table(3)


def test_the_shipped_table_comes_back_and_twice_is_harmless(operator):
    save_price_list(table=a_table(), based_on=current_price_list())
    assert "Take the shipped table" in operator.get(PRICES).text
    operator.post(RESTORE)
    operator.post(RESTORE)
    assert current_table() == shipped_table()
    assert PriceList.objects.count() == 3
    assert "Take the shipped table" not in operator.get(PRICES).text


def test_texts_of_a_table_are_text(operator):
    hostile = dump_price_table(a_table()).replace(
        "output_per_million: 2.0",
        'output_per_million: 2.0\n    source: "javascript:alert(1)"\n    notes: <script>alert(2)</script>',
    )
    assert write(operator, hostile).status_code == 302
    page = operator.get(PRICES).text
    assert 'href="javascript' not in page
    assert "<script>alert(2)" not in page


def test_the_page_takes_few_queries(operator, django_assert_max_num_queries):
    for price in range(1, 5):
        save_price_list(table=a_table(price), based_on=current_price_list())
    with django_assert_max_num_queries(7):
        operator.get(PRICES)
