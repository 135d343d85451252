"""How a sample is called on pages: by its title, else its source document, else its first words."""

from __future__ import annotations

import re

from django import template
from django.utils.text import Truncator

from distill.logic.samples import SampleDraft
from distill.models import Sample

register = template.Library()

_HASH = re.compile(r"[0-9a-f]{32}")
_NUM_READ = 400
_NUM_SHOWN = 70


@register.filter
def named_source(source_key: str) -> str:
    """The source document; empty where the key is only the hash of a text that names none."""
    return "" if _HASH.fullmatch(source_key) else source_key


@register.filter
def sample_title(sample: Sample | SampleDraft, beginning: str = "") -> str:
    """What a sample is called. `beginning` is the start of its text where the text is not loaded."""
    if known := sample.title or named_source(sample.source_key):
        return known
    words = " ".join((beginning or sample.text)[:_NUM_READ].split())
    return f"Untitled: {Truncator(words).chars(_NUM_SHOWN)}"
