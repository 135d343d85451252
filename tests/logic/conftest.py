"""Property tests of pure logic: no deadline, because two shared cores keep none."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("logic", deadline=None, max_examples=60)
settings.load_profile("logic")
