"""For installers that do not read pyproject.toml; everything else is in setup.cfg."""

from setuptools import setup

setup()
