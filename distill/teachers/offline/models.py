"""The names of the offline teacher's models: what may stand after `offline:`."""

from __future__ import annotations

OFFLINE_MODELS = ("extractive", "rubric")
