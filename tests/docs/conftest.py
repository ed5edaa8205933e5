"""An empty home, in which the commands of a page are run with what its installation makes."""

from tests.integration.test_quick_start import home, terminal

__all__ = ["home", "terminal"]
