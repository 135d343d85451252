"""What a form's fields say of themselves beside their labels."""

from __future__ import annotations

from django import template
from django.forms import BoundField, Select

register = template.Library()


@register.filter
def is_optional(field: BoundField) -> bool:
    """Whether it may be left empty: not a select, which always says something.

    `conditional_fields` of a form are those that are needed where another one is empty.
    """
    conditional: tuple[str, ...] = getattr(field.form, "conditional_fields", ())
    is_select = isinstance(field.field.widget, Select)
    return not (field.field.required or is_select or field.name in conditional)
