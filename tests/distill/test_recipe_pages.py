"""Recipes on the site: the list, one version, its difference, its file, a new one."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from distill.logic.recipe import dump_recipe, load_recipe
from distill.models import Recipe
from tests.builders import make_recipe, make_run, make_user

pytestmark = pytest.mark.django_db

NEW = "distill:new_recipe"


@pytest.fixture
def lead(client):
    client.force_login(make_user("lead"))
    return client


def _version(recipe, name="recipe"):
    return reverse(f"distill:{name}", args=[recipe.name, recipe.version])


def _save(client, document="", **files):
    return client.post(reverse(NEW), {"document": document, **files})


def test_an_empty_list_offers_the_first_recipe(lead):
    assert "No recipe yet" in lead.get(reverse("distill:recipes")).text


def test_the_list_shows_the_newest_version_of_each(lead, django_assert_max_num_queries):
    first = make_recipe(name="field")
    newest = make_recipe(name="field", teacher={"draws": 2})
    make_recipe(name="another")
    make_run(recipe=first)
    make_run(recipe=newest)
    page = lead.get(reverse("distill:recipes")).text
    assert _version(newest) in page
    assert _version(first) not in page
    assert '<td data-label="Runs" class="num">2</td>' in page
    with django_assert_max_num_queries(5):
        lead.get(reverse("distill:recipes"))


def test_a_version_shows_its_document_and_what_it_changed(lead, django_assert_max_num_queries):
    first = make_recipe(name="field")
    second = make_recipe(name="field", teacher={"draws": 3})
    page = lead.get(_version(second)).text
    assert "<del>  draws: 1</del>" in page
    assert "<ins>  draws: 3</ins>" in page
    assert "min_mean: 0.8" in page
    assert "What changed since v1" in page
    assert "This is the first version" in lead.get(_version(first)).text
    with django_assert_max_num_queries(6):
        lead.get(_version(second))


def test_texts_of_a_recipe_are_text(lead):
    recipe = make_recipe(name="hostile", regeneration={"instruction": "<script>alert(1)</script>"})
    page = lead.get(_version(recipe)).text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert(1)" not in page


def test_the_download_reads_back_as_the_same_recipe(lead):
    recipe = make_recipe(name="félin-2", teacher={"draws": 4})
    answer = lead.get(_version(recipe, "download_recipe"))
    assert "attachment" in answer["Content-Disposition"]
    assert load_recipe(answer.text) == recipe.content


def test_an_unknown_version_is_a_404(lead):
    for name in ("recipe", "download_recipe"):
        assert lead.get(reverse(f"distill:{name}", args=["field", 10**12])).status_code == 404


def test_a_new_recipe_is_saved_and_shown(lead):
    answer = _save(lead, "name: reefs\nteacher:\n  draws: 2\n")
    recipe = Recipe.objects.get()
    assert answer.url == _version(recipe)
    assert recipe.content.teacher.draws == 2
    assert "Saved as reefs v1." in lead.get(answer.url).text


def test_saving_twice_changes_nothing_and_says_so(lead):
    _save(lead, "name: reefs\n")
    _save(lead, "name: reefs\ngate:\n  min_mean: 0.9\n")
    lead.get(reverse("distill:recipes"))
    answer = _save(lead, "name: reefs\n")
    assert "this is reefs v1 already" in lead.get(answer.url).text
    assert Recipe.objects.count() == 2


def test_the_form_starts_from_the_version_named(lead):
    recipe = make_recipe(name="field", teacher={"draws": 7})
    page = lead.get(reverse(NEW), {"name": "field", "version": recipe.version}).text
    assert "draws: 7" in page
    assert "draws: 1" in lead.get(reverse(NEW)).text
    assert lead.get(reverse(NEW), {"name": "field", "version": "9" * 30}).status_code == 200


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("name: x\ntemprature: 1\n", "unknown key"),
        ("gate:\n  min_mean: 1.5\n", "line 2, gate.min_mean: 1.5 is out of range"),
        ("name: [", "not valid YAML"),
        ("", "Write a recipe here"),
        ("name: a/b\n", "becomes part of an address"),
    ],
)
def test_a_wrong_document_is_explained_at_its_field_and_kept(lead, document, words):
    answer = _save(lead, document)
    assert answer.status_code == 422
    assert words in answer.text.replace("&#x27;", "'").replace("&quot;", '"')
    assert answer.text.count("errorlist") == 1
    assert not Recipe.objects.exists()


def test_a_file_is_taken_instead_of_the_text(lead):
    upload = SimpleUploadedFile("../../r.yaml", dump_recipe(load_recipe("name: filed")).encode())
    _save(lead, "name: typed", file=upload)
    assert Recipe.objects.get().name == "filed"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name: \xff", "not UTF-8"),
        (b"\0\0", "not valid YAML"),
        (b"", "empty"),
        (b"#" * 4_000_001, "too large"),
    ],
    ids=["encoding", "binary", "empty", "large"],
)
def test_a_wrong_file_is_explained_at_the_file(lead, content, words):
    answer = _save(lead, file=SimpleUploadedFile("r.yaml", content))
    assert answer.status_code == 422
    assert words in answer.text
    assert not Recipe.objects.exists()


def test_reviewers_have_no_business_here(client):
    recipe = make_recipe()
    client.force_login(make_user("reviewer"))
    for url in (reverse("distill:recipes"), reverse(NEW), _version(recipe)):
        assert client.get(url).status_code == 403
    assert _save(client, "name: x").status_code == 403


def test_the_form_says_whether_it_makes_a_recipe_or_a_version(lead):
    recipe = make_recipe(name="field")
    new = reverse("distill:new_recipe")
    assert "<h1>New recipe</h1>" in lead.get(new).text
    query = {"name": recipe.name, "version": recipe.version}
    page = lead.get(new, query).text
    assert "<h1>New version of field</h1>" in page
    assert '<li aria-current="page">New version of field</li>' in page
    assert "<title>New version of field" in page
    refused = lead.post(f"{new}?name=field&version={recipe.version}", {"document": "nope: 1"})
    assert refused.status_code == 422
    assert "<h1>New version of field</h1>" in refused.text


def test_any_two_versions_can_be_compared(lead):
    first = make_recipe(name="field")
    make_recipe(name="field", teacher={"draws": 2})
    third = make_recipe(name="field", teacher={"draws": 3}, gate={"min_mean": 0.9})
    page = lead.get(_version(third), {"against": 1}).text
    assert "What changed since v1" in page
    assert "<del>  draws: 1</del>" in page
    assert "<ins>  min_mean: 0.9</ins>" in page
    back = lead.get(_version(first), {"against": 3}).text
    assert "What differs from v3" in back
    assert "<ins>  draws: 1</ins>" in back
    headers = {"HX-Request": "true", "HX-Target": "diff"}
    fragment = lead.get(_version(third), {"against": 2}, headers=headers).text
    assert "<html" not in fragment
    assert "<del>  draws: 2</del>" in fragment


@pytest.mark.parametrize("against", ["", "99", "x", "9" * 30, "-1", "2"])
def test_a_version_that_is_not_there_is_compared_with_none(lead, against):
    make_recipe(name="field")
    second = make_recipe(name="field", teacher={"draws": 2})
    answer = lead.get(_version(second), {"against": against})
    assert answer.status_code == 200
    make_recipe(name="alone")
    alone = lead.get(reverse("distill:recipe", args=["alone", 1])).text
    assert "Compare" not in alone


def _check(client, document, **headers):
    return client.post(reverse("distill:check_recipe"), {"document": document}, headers=headers)


TYPING = {"HX-Request": "true", "HX-Target": "check"}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("name: field\n", "this is field v1 already"),
        ("name: field\nteacher:\n  draws: 2\n", "as field v2: 2 lines added or removed since v1"),
        ("name: other\n", "as other v1"),
        ("gate:\n  min_mean: 1.5\n", "line 2, gate.min_mean: 1.5 is out of range"),
        ("name: x\nteacher:\n  name: openia:gpt\n", "did you mean openai:model?"),
        ("name: a/b\n", "becomes part of an address"),
        ("", "Write a recipe here"),
    ],
)
def test_what_saving_would_do_is_said_while_writing(lead, document, words):
    make_recipe(name="field")
    answer = _check(lead, document, **TYPING)
    assert answer.status_code == 200
    assert words in " ".join(answer.text.split())
    assert "<html" not in answer.text
    assert Recipe.objects.count() == 1
    page = _check(lead, document)
    assert "<html" in page.text
    assert words in " ".join(page.text.split())
    assert page.status_code == (200 if "v1" in words else 422)


IMPORT = reverse("distill:import_recipe")


def test_the_guides_files_are_shown_as_a_recipe_before_they_are_saved(lead):
    assert "From the guide" in lead.get(reverse("distill:recipes")).text
    upload = SimpleUploadedFile("../x.yaml", b"generation:\n  teacher_model: gpt-4o\n  <b>: 1\n")
    pasted = {"name": "guide", "filters": "min_judge_score: 75\n", "teacher_gen_file": upload}
    answer = lead.post(IMPORT, pasted)
    assert answer.status_code == 200
    assert not Recipe.objects.exists()
    assert "filters.yaml line 1, min_judge_score: 75 is 0.75 here" in answer.text
    assert "generation.&lt;b&gt;: unknown, ignored" in answer.text
    document = answer.context["recipe_form"].initial["document"]
    assert load_recipe(document).teacher.name == "openai:gpt-4o"
    saved = _save(lead, document)
    assert saved.url == _version(Recipe.objects.get())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"name": "guide"}, "at least one of the three files"),
        ({"name": "a b", "filters": "ban_citations: true"}, "letters, numbers"),
        ({"name": "guide", "filters": "min_char_length: x"}, "filters.yaml line 1"),
        ({"name": "guide", "filters": "a: ["}, "not valid YAML"),
    ],
)
def test_files_that_cannot_be_used_are_explained(lead, given, words):
    answer = lead.post(IMPORT, given)
    assert answer.status_code == 422
    assert words in answer.text
    assert not Recipe.objects.exists()


def test_reviewers_import_and_check_nothing(client):
    client.force_login(make_user("reviewer"))
    assert client.get(IMPORT).status_code == 403
    assert client.post(IMPORT, {"name": "guide"}).status_code == 403
    assert _check(client, "name: x").status_code == 403
