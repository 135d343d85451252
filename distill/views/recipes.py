"""Recipes: all of them, one version with its differences, a new one, the guide's files as one."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from distill.forms.recipes import GuideForm, RecipeForm
from distill.http import AuthedRequest, render_partial, require_role
from distill.logic.errors import DistillError
from distill.logic.panel import warnings
from distill.logic.recipe import default_recipe, dump_recipe
from distill.models import Recipe
from distill.queries.recipes import diff, forecast, latest_recipes, version_before, versions_of
from distill.services.recipes import check_recipe, save_recipe


@require_role("lead", "operator")
@require_safe
def recipes(request: AuthedRequest) -> HttpResponse:
    """The newest version of every recipe."""
    return render(request, "distill/recipes.html", {"recipes": latest_recipes()})


@require_role("lead", "operator")
@require_safe
def recipe(request: AuthedRequest, name: str, version: int) -> HttpResponse:
    """One version: its document, its siblings, what differs from another (`?against=…`)."""
    found = get_object_or_404(
        Recipe.objects.select_related("created_by"), name=name, version=version
    )
    content = found.content
    before = version_before(found, request.GET.get("against", ""))
    context = {
        "recipe": found,
        "content": content,
        "warnings": warnings(content),
        "document": dump_recipe(content),
        "versions": versions_of(name),
        "before": before,
        "diff": diff(before.content, content) if before else [],
    }
    return render_partial(request, "distill/recipe.html", context, partial="diff")


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


@require_role("lead", "operator")
@require_POST
def check_recipe_view(request: AuthedRequest) -> HttpResponse:
    """Say, while somebody writes, what is wrong with a recipe or what saving it would do."""
    form = RecipeForm(request.POST)
    context: dict[str, object] = {"form": form, "base": _base(request)}
    if form.is_valid():
        try:
            check_recipe(content=form.content)
            context["forecast"] = forecast(form.content)
        except DistillError as error:
            form.add_error("document", str(error))
    context["is_typing"] = bool(request.htmx)
    # htmx swaps nothing in from an answer of 422.
    status = 422 if form.errors and not request.htmx else 200
    return render_partial(
        request, "distill/recipe_new.html", context, partial="check", status=status
    )


@require_role("lead", "operator")
@require_http_methods(["GET", "HEAD", "POST"])
def import_recipe(request: AuthedRequest) -> HttpResponse:
    """Take the guide's config files, and show the recipe that they make before it is saved."""
    if request.method != "POST":
        return render(request, "distill/recipe_import.html", {"form": GuideForm()})
    form = GuideForm(request.POST, request.FILES)
    context: dict[str, object] = {"form": form}
    if form.is_valid():
        context |= {
            "notes": form.found.notes,
            "recipe_form": RecipeForm(initial={"document": dump_recipe(form.found.recipe)}),
        }
    status = 422 if form.errors else 200
    return render(request, "distill/recipe_import.html", context, status=status)


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
