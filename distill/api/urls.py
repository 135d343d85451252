"""The endpoints of the distillation, below `/api/v1/`."""

from __future__ import annotations

from django.urls import URLPattern, path

from distill.api import completions, datasets, exports, gate, money, prices, recipes, runs

urlpatterns: list[URLPattern] = [
    path("datasets/", datasets.DatasetsView.as_view(), name="datasets"),
    path("datasets/<int:pk>/", datasets.DatasetView.as_view(), name="dataset"),
    path("datasets/<int:pk>/files/", datasets.SourceFilesView.as_view(), name="source_files"),
    path(
        "datasets/<int:pk>/files/<int:file_id>/",
        datasets.SourceFileView.as_view(),
        name="source_file",
    ),
    path("datasets/<int:pk>/samples/", datasets.SamplesView.as_view(), name="samples"),
    path("datasets/<int:pk>/gate/", gate.GateView.as_view(), name="gate"),
    path("datasets/<int:pk>/gate/refresh/", gate.RefreshGateView.as_view(), name="refresh_gate"),
    path("datasets/<int:pk>/gate/save/", gate.SaveGateView.as_view(), name="save_gate"),
    path("rules/", gate.RulesView.as_view(), name="rules"),
    path("recipes/", recipes.RecipesView.as_view(), name="recipes"),
    path("recipes/<int:pk>/", recipes.RecipeView.as_view(), name="recipe"),
    path("recipes/<int:pk>/yaml/", recipes.RecipeYamlView.as_view(), name="recipe_yaml"),
    path("runs/", runs.RunsView.as_view(), name="runs"),
    path("runs/<int:pk>/", runs.RunView.as_view(), name="run"),
    path("runs/<int:pk>/stop/", runs.StopRunView.as_view(), name="stop_run"),
    path("runs/<int:pk>/resume/", runs.ResumeRunView.as_view(), name="resume_run"),
    path("runs/<int:pk>/money/", money.MoneyView.as_view(), name="run_money"),
    path("runs/<int:pk>/budget/", money.BudgetView.as_view(), name="raise_budget"),
    path("runs/<int:pk>/settle/", money.SettleView.as_view(), name="settle_lost"),
    path("prices/", prices.PricesView.as_view(), name="prices"),
    path("completions/", completions.CompletionsView.as_view(), name="completions"),
    path("completions/<int:pk>/", completions.CompletionView.as_view(), name="completion"),
    path("exports/", exports.ExportsView.as_view(), name="exports"),
    path("exports/<int:pk>/", exports.ExportView.as_view(), name="export"),
    path(
        "exports/<int:pk>/files/<path:name>", exports.ExportFileView.as_view(), name="export_file"
    ),
]
