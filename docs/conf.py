"""How Sphinx builds the documentation site: ``nox -s docs`` calls it, and takes every warning for an error."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pygments.lexers.shell import BashLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

import command_reference

import dfud

project = "dfud"
author = "dfud developers"
project_copyright = author
version = release = dfud.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_click"]
highlight_language = "text"
nitpicky = True
# What Python's own documentation describes: no inventory of it is fetched, so that a build needs no network.
# The protocols and tuples of our own modules are described where they are taken or returned.
_MODULES = r"(collections\.abc|dfud\.api|dfud\.receipts\.writing|os|typing)\..*"
nitpick_ignore_regex = [("py:.*", rf"{_MODULES}|IO|Iterator|NamedTuple|Path|bytes")]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4  # those of a forge, so that the same links lead to the same headings

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = f"dfud {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}

# What "nox -s linkcheck" looks at; links between these documents are checked by each build.
linkcheck_timeout = 20
linkcheck_retries = 2
linkcheck_ignore = [r"http://(127\.0\.0\.1|localhost)[:/].*"]


# Pages of the site for documents that are not in this folder, to which these here link.
OTHER_DOCUMENTS = {"README": "index", "CHANGELOG": "changelog"}


def link_pages(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Let links to documents in the folder above lead to the pages that stand for them."""
    for document, page in OTHER_DOCUMENTS.items():
        source[0] = re.sub(rf"\]\((\.\./)+{document}\.md(#[\w-]+)?\)", f"](/{page}.md)", source[0])


def setup(app: Sphinx) -> None:
    """Show crontabs, and commands as their help texts show them: in groups, with examples."""
    app.connect("source-read", link_pages)
    app.add_lexer("crontab", BashLexer)
    command_reference.connect(app)
