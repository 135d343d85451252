"""The offline teacher: a stand-in that speaks the protocol of the real ones, on loopback.

It holds no model. `extractive` builds hypothesis-method pairs from the sentences of the passage it
is given, `rubric` scores them by transparent rules; both follow from the request alone. Use
`with offline_teacher() as base_url:` where a run names it.
"""

from __future__ import annotations

from distill.teachers.offline.process import offline_teacher

__all__ = ["offline_teacher"]
