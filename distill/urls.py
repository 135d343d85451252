"""The pages of the distillation: datasets, runs, completions, exports, recipes."""

from __future__ import annotations

from django.urls import URLPattern, path

from distill.views import recipes

app_name = "distill"

dataset_urls: list[URLPattern] = []
run_urls: list[URLPattern] = []
completion_urls: list[URLPattern] = []
export_urls: list[URLPattern] = []
recipe_urls: list[URLPattern] = [
    path("recipes/", recipes.recipes, name="recipes"),
    path("recipes/new/", recipes.new_recipe, name="new_recipe"),
    path("recipes/<str:name>/<int:version>/", recipes.recipe, name="recipe"),
    path(
        "recipes/<str:name>/<int:version>/download/",
        recipes.download_recipe,
        name="download_recipe",
    ),
]

urlpatterns = [*dataset_urls, *run_urls, *completion_urls, *export_urls, *recipe_urls]
