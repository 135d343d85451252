"""The price list: the shipped table first, every change a version, a run keeps its own."""

from __future__ import annotations

import threading

import pytest
from django.db import IntegrityError, connection, transaction

from distill.logic.errors import ConflictError, InputError
from distill.logic.price_table import PriceTable, load_price_table
from distill.logic.prices import FREE, TokenPrice
from distill.models import PriceList, Run
from distill.queries.prices import current_table, prices_of, shipped_table, table_of
from distill.services.price_lists import current_price_list, save_price_list
from distill.services.runs import create_run
from tests.builders import make_dataset, make_recipe, make_user

pytestmark = pytest.mark.django_db


def a_table(price: float = 1) -> PriceTable:
    return load_price_table(
        "as_of: 2026-11-23\nprices:\n"
        f"  test:model: {{input_per_million: {price}, output_per_million: 2}}\n"
    )


def test_the_shipped_table_is_the_first_version():
    assert current_table() == shipped_table()
    first = current_price_list()
    assert table_of(first) == shipped_table()
    assert current_price_list() == first
    assert PriceList.objects.count() == 1


def test_every_shipped_price_names_where_it_was_found():
    for name, entry in shipped_table().prices.items():
        assert entry.source.startswith("https://"), name


def test_a_change_is_a_new_version_and_the_old_one_stays():
    first, operator = current_price_list(), make_user("operator")
    second = save_price_list(table=a_table(), based_on=first, note="ours", user=operator)
    assert (second.note, second.created_by) == ("ours", operator)
    assert current_price_list() == second
    assert table_of(PriceList.objects.get(pk=first.pk)) == shipped_table()


def test_saving_what_is_there_already_makes_no_version():
    first = current_price_list()
    assert save_price_list(table=shipped_table(), based_on=first) == first
    second = save_price_list(table=a_table(), based_on=first)
    assert save_price_list(table=a_table(), based_on=first) == second
    assert PriceList.objects.count() == 2


def test_the_shipped_table_can_be_restored():
    changed = save_price_list(table=a_table(), based_on=current_price_list())
    restored = save_price_list(table=shipped_table(), based_on=changed)
    assert restored.pk > changed.pk
    assert current_table() == shipped_table()


def test_a_change_of_what_is_not_current_any_more_is_refused():
    first = current_price_list()
    save_price_list(table=a_table(1), based_on=first)
    with pytest.raises(ConflictError, match="changed in between"):
        save_price_list(table=a_table(2), based_on=first)
    assert current_table() == a_table(1)


def test_a_version_cannot_be_changed():
    stored = current_price_list()
    with pytest.raises(IntegrityError), transaction.atomic():
        PriceList.objects.filter(pk=stored.pk).update(note="changed")


@pytest.mark.django_db(transaction=True)
def test_several_at_once_store_the_shipped_table_once():
    found: list[int] = []

    def use() -> None:
        found.append(current_price_list().pk)
        connection.close()

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == PriceList.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_several_changes_at_once_one_is_taken():
    first = current_price_list()
    refused: list[ConflictError] = []

    def change(price: int) -> None:
        try:
            save_price_list(table=a_table(price), based_on=first)
        except ConflictError as error:
            refused.append(error)
        connection.close()

    threads = [threading.Thread(target=change, args=(price,)) for price in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (PriceList.objects.count(), len(refused)) == (2, 2)


# --- what a run reckons with ---


def make(teacher: dict[str, object], *, budget_nano: int | None = None) -> Run:
    recipe = make_recipe(teacher=teacher, judges=[])
    return create_run(
        dataset=make_dataset(),
        recipe=recipe,
        kind=Run.Kind.PIPELINE,
        sample_limit=5,
        budget_nano=budget_nano,
    )


def priced(name: str, price: float) -> PriceList:
    table = load_price_table(
        "as_of: 2026-11-23\nprices:\n"
        f"  {name}: {{input_per_million: {price}, output_per_million: 0}}\n"
    )
    return save_price_list(table=table, based_on=current_price_list())


def test_a_run_keeps_the_prices_it_was_made_with():
    priced("openai:model-x", 1)
    run = make({"name": "openai:model-x"})
    priced("openai:model-x", 9)
    found = prices_of(Run.objects.get(pk=run.pk))["openai:model-x"]
    assert found == TokenPrice(input_per_million=1, output_per_million=0)


def test_the_recipes_own_price_goes_first():
    priced("openai:model-x", 1)
    own = {"input_per_million": 5, "output_per_million": 6}
    run = make({"name": "openai:model-x", "price": own})
    assert prices_of(run)["openai:model-x"] == TokenPrice(**own)


def test_a_bare_openrouter_name_takes_the_price_of_the_full_one():
    priced("openrouter:openai/gpt-4o", 1)
    run = make({"name": "openrouter:gpt-4o"})
    assert prices_of(run)["openrouter:gpt-4o"] is not None


@pytest.mark.parametrize("name", ["offline:extractive", "vllm:Qwen/Qwen3-8B", "ollama:llama3"])
def test_what_runs_on_ones_own_machines_is_free(name):
    assert prices_of(make({"name": name}))[name] == FREE


@pytest.mark.parametrize("name", ["openai:unheard-of", "https://host.example/v1#model"])
def test_a_model_that_no_list_names_is_unpriced(name):
    assert prices_of(make({"name": name}))[name] is None


def test_a_budget_with_an_unpriced_model_is_refused_with_what_to_do():
    with pytest.raises(InputError, match=r"price of openai:unheard-of.*Prices.*recipe"):
        make({"name": "openai:unheard-of"}, budget_nano=1_000)


def test_a_budget_is_taken_where_the_list_knows_the_price():
    priced("openai:model-x", 1)
    assert make({"name": "openai:model-x"}, budget_nano=1_000).budget_nano == 1_000
