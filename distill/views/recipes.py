"""Recipes: all of them, one version with what it changed, a new one."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_http_methods, require_safe

from distill.forms.recipes import RecipeForm
from distill.http import AuthedRequest, require_role
from distill.logic.errors import DistillError
from distill.logic.recipe import default_recipe, dump_recipe
from distill.models import Recipe
from distill.queries.recipes import diff_to_previous, latest_recipes, versions_of
from distill.services.recipes import save_recipe


@require_role("lead", "operator")
@require_safe
def recipes(request: AuthedRequest) -> HttpResponse:
    """The newest version of every recipe."""
    return render(request, "distill/recipes.html", {"recipes": latest_recipes()})


@require_role("lead", "operator")
@require_safe
def recipe(request: AuthedRequest, name: str, version: int) -> HttpResponse:
    """One version: its document, its siblings, what it changed."""
    found = get_object_or_404(
        Recipe.objects.select_related("created_by"), name=name, version=version
    )
    content = found.content
    context = {
        "recipe": found,
        "content": content,
        "document": dump_recipe(content),
        "versions": versions_of(name),
        "diff": diff_to_previous(found),
    }
    return render(request, "distill/recipe.html", context)


@require_role("lead", "operator")
@require_safe
def download_recipe(request: AuthedRequest, name: str, version: int) -> HttpResponse:
    """The version as a YAML file, which `new_recipe` takes back unchanged."""
    found = get_object_or_404(Recipe, name=name, version=version)
    filename = f"{found.name}-v{found.version}.yaml"
    disposition = content_disposition_header(as_attachment=True, filename=filename)
    return HttpResponse(
        dump_recipe(found.content),
        content_type="application/yaml; charset=utf-8",
        headers={"Content-Disposition": disposition or "attachment"},
    )


@require_role("lead", "operator")
@require_http_methods(["GET", "HEAD", "POST"])
def new_recipe(request: AuthedRequest) -> HttpResponse:
    """Write a recipe, or a new version of one: `?name=…&version=…` is what to start from."""
    base = _base(request)
    if request.method != "POST":
        content = base.content if base else default_recipe()
        form = RecipeForm(initial={"document": dump_recipe(content)})
        return render(request, "distill/recipe_new.html", {"form": form, "base": base})
    form = RecipeForm(request.POST, request.FILES)
    if form.is_valid() and (saved := _save(request, form)):
        return redirect("distill:recipe", saved.name, saved.version)
    return render(request, "distill/recipe_new.html", {"form": form, "base": base}, status=422)


def _base(request: AuthedRequest) -> Recipe | None:
    """The version to start from."""
    version = request.GET.get("version", "")
    if not version.isdecimal() or len(version) > 9:
        return None
    return Recipe.objects.filter(name=request.GET.get("name", ""), version=int(version)).first()


def _save(request: AuthedRequest, form: RecipeForm) -> Recipe | None:
    before = Recipe.objects.filter(name=form.content.name).order_by("-version").first()
    try:
        saved = save_recipe(content=form.content, user=request.user)
    except DistillError as error:
        form.add_error("file" if form.cleaned_data.get("file") else "document", str(error))
        return None
    if before is not None and saved.version <= before.version:
        messages.info(request, f"Nothing new: this is {saved} already.")
    else:
        messages.success(request, f"Saved as {saved}.")
    return saved
