"""The pages of the distillation: datasets, runs, completions, exports, recipes."""

from __future__ import annotations

from django.urls import URLPattern

app_name = "distill"

dataset_urls: list[URLPattern] = []
run_urls: list[URLPattern] = []
completion_urls: list[URLPattern] = []
export_urls: list[URLPattern] = []
recipe_urls: list[URLPattern] = []

urlpatterns = [*dataset_urls, *run_urls, *completion_urls, *export_urls, *recipe_urls]
