"""The pages of the distillation: datasets, runs, completions, exports, recipes."""

from __future__ import annotations

from django.urls import URLPattern, path

from distill.views import (
    completions,
    datasets,
    exports,
    gate,
    labels,
    money,
    prices,
    recipes,
    rules,
    run_start,
    runs,
    screenings,
    uploads,
)

app_name = "distill"

dataset_urls: list[URLPattern] = [
    path("datasets/", datasets.datasets, name="datasets"),
    path("datasets/upload/", uploads.upload_dataset, name="upload_dataset"),
    path("datasets/upload/<uuid:upload>/", uploads.map_upload, name="map_upload"),
    path("datasets/<int:pk>/", datasets.dataset, name="dataset"),
    path("datasets/<int:pk>/delete/", datasets.delete_dataset_view, name="delete_dataset"),
    path(
        "datasets/<int:pk>/files/<int:file_id>/refused.csv",
        datasets.download_refused,
        name="download_refused",
    ),
    path("datasets/<int:pk>/gate/", gate.gate, name="gate"),
    path("datasets/<int:pk>/gate/completions/", gate.gate_completions, name="gate_completions"),
    path("datasets/<int:pk>/gate/refresh/", gate.refresh_gate, name="refresh_gate"),
    path("datasets/<int:pk>/gate/save/", gate.save_gate_view, name="save_gate"),
    path("datasets/<int:pk>/rules/", rules.rules, name="rules"),
    path("datasets/<int:pk>/rules/<slug:code>/", rules.rule, name="rule"),
    path("datasets/<int:pk>/screening/", screenings.screening, name="screening"),
    path("datasets/<int:pk>/labels/", labels.write_labels, name="write_labels"),
    path(
        "datasets/<int:pk>/labels/<slug:name>.jsonl",
        labels.download_labels,
        name="download_labels",
    ),
]
run_urls: list[URLPattern] = [
    path("runs/", runs.runs, name="runs"),
    path("runs/start/", run_start.start_run, name="start_run"),
    path("runs/start/test/", run_start.test_teacher, name="test_teacher"),
    path("runs/start/teachers/", run_start.list_teachers, name="list_teachers"),
    path("runs/<int:run_id>/", runs.run, name="run"),
    path("runs/<int:run_id>/stop/", runs.stop_run, name="stop_run"),
    path("runs/<int:run_id>/resume/", runs.resume_run_view, name="resume_run"),
    path("runs/<int:run_id>/budget/", money.raise_budget_view, name="raise_budget"),
    path("runs/<int:run_id>/settle/", money.settle_lost_view, name="settle_lost"),
]
completion_urls: list[URLPattern] = [
    path("completions/", completions.completions, name="completions"),
    path("completions/<int:pk>/", completions.completion, name="completion"),
    path("completions/download/", completions.download_completions, name="download_completions"),
]
export_urls: list[URLPattern] = [
    path("exports/", exports.exports, name="exports"),
    path("exports/<int:pk>/", exports.export, name="export"),
    path("exports/<int:pk>/export.zip", exports.download_export_zip, name="download_export_zip"),
    path(
        "exports/<int:pk>/files/<path:name>",
        exports.download_export_file,
        name="download_export_file",
    ),
]
recipe_urls: list[URLPattern] = [
    path("recipes/", recipes.recipes, name="recipes"),
    path("recipes/new/", recipes.new_recipe, name="new_recipe"),
    path("recipes/check/", recipes.check_recipe_view, name="check_recipe"),
    path("recipes/import/", recipes.import_recipe, name="import_recipe"),
    path("recipes/<str:name>/<int:version>/", recipes.recipe, name="recipe"),
    path(
        "recipes/<str:name>/<int:version>/download/",
        recipes.download_recipe,
        name="download_recipe",
    ),
]
price_urls: list[URLPattern] = [
    path("prices/", prices.prices, name="prices"),
    path("prices/edit/", prices.edit_prices, name="edit_prices"),
    path("prices/restore/", prices.restore_prices, name="restore_prices"),
]

urlpatterns = [
    *dataset_urls,
    *run_urls,
    *completion_urls,
    *export_urls,
    *recipe_urls,
    *price_urls,
]
