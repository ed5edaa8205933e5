"""A profile of Hypothesis for mutation testing (docs/mutation.md): few examples, the same in each run."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile(
    "mutation",
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
)
