"""What a machine may not have, and tests are skipped without."""

from __future__ import annotations


class UnavailableError(Exception):
    """A test or a fault cannot take place here; the text says why. It counts as skipped, never as passed."""
