"""The pages of the training."""

from __future__ import annotations

from django.urls import URLPattern, path

from training.views import run_start, runs

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

urlpatterns = [*training_urls]
