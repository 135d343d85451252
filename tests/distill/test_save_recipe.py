"""Saving a recipe: a new version for new content, the old one for the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from distill.logic.errors import InputError
from distill.logic.recipe import Recipe as Content
from distill.models import Recipe
from distill.services.recipes import save_recipe

pytestmark = pytest.mark.django_db


def _content(name="field", draws=1):
    return Content(name=name, teacher={"draws": draws})


def test_new_content_becomes_the_next_version_and_reads_back_the_same():
    first = save_recipe(content=_content())
    second = save_recipe(content=_content(draws=3))
    other = save_recipe(content=_content(name="other"))
    assert [first.version, second.version, other.version] == [1, 2, 1]
    second.refresh_from_db()
    assert second.content == _content(draws=3)


def test_the_same_content_is_the_same_version():
    first = save_recipe(content=_content())
    save_recipe(content=_content(draws=2))
    assert save_recipe(content=_content()) == first
    assert Recipe.objects.count() == 2


def test_the_author_is_kept(django_user_model):
    author = django_user_model.objects.create_user("ada")
    assert save_recipe(content=_content(), user=author).created_by == author


@pytest.mark.parametrize("name", ["../up", "two words", "a/b", "x\n"])
def test_a_name_that_is_no_address_is_refused(name):
    with pytest.raises(InputError, match="use letters, digits"):
        save_recipe(content=_content(name=name))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"teacher": {"name": "offline:extractiv"}},
            "teacher.name: the offline teacher has no model 'extractiv': write offline:extractive",
        ),
        ({"teacher": {"name": "openia:gpt-4o"}}, "did you mean openai:model?"),
        ({"judges": [{"name": "B", "teacher": "offline:rubrik"}]}, "judges.B.teacher: the offline"),
    ],
)
def test_a_teacher_that_does_not_exist_is_refused(changes, words):
    with pytest.raises(InputError) as refused:
        save_recipe(content=Content.model_validate({"name": "field", **changes}))
    assert words in str(refused.value)
    assert not Recipe.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_saving_at_once_makes_each_version_once():
    def save(draws):
        try:
            return save_recipe(content=_content(draws=draws)).version
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(save, [1, 2, 3, 4, 1, 2, 3, 4]))
    assert sorted(set(versions)) == [1, 2, 3, 4]
    assert versions[:4] == versions[4:]
