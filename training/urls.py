"""The pages of the training."""

from __future__ import annotations

from django.urls import URLPattern, path

from training.views import evaluations, run_start, runs

app_name = "training"

training_urls: list[URLPattern] = [
    path("training/", runs.training_runs, name="training_runs"),
    path("training/start/", run_start.start_training_view, name="start_training"),
    path("training/<int:pk>/", runs.training_run, name="training_run"),
    path("training/<int:pk>/stop/", runs.stop_training, name="stop_training"),
    path("training/<int:pk>/resume/", runs.resume_training_view, name="resume_training"),
    path("training/<int:pk>/log.txt", runs.download_log, name="download_log"),
    path("training/<int:pk>/metrics.jsonl", runs.download_metrics, name="download_metrics"),
    path("training/<int:pk>/spec.yaml", runs.download_spec, name="download_spec"),
]

evaluation_urls: list[URLPattern] = [
    path("training/<int:pk>/evaluate/", evaluations.start_evaluation_view, name="start_evaluation"),
    path("training/evaluations/<int:pk>/", evaluations.evaluation, name="evaluation"),
    path(
        "training/evaluations/<int:pk>/stop/",
        evaluations.stop_evaluation_view,
        name="stop_evaluation",
    ),
    path(
        "training/evaluations/<int:pk>/report.json",
        evaluations.download_report_json,
        name="download_report_json",
    ),
    path(
        "training/evaluations/<int:pk>/report.md",
        evaluations.download_report_markdown,
        name="download_report_markdown",
    ),
]

urlpatterns = [*training_urls, *evaluation_urls]
