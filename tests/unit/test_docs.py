"""The documents name what there is, and nothing that there is not."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dfud import errors
from dfud.commands.main import COMMANDS, load
from dfud.core.tables import CompletedRow, InProgressRow

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), target


def section(title: str) -> str:
    """Return the text of a section of the README, up to the next title of any level."""
    found = re.search(rf"^#+ {title}\n(.*?)(?=^#)", README, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def test_the_readme_has_each_command() -> None:
    assert set(re.findall(r"^\| `dfud (\w+)", section("Commands"), re.MULTILINE)) == set(COMMANDS)


def test_the_readme_has_each_option_of_the_upload() -> None:
    described = set(re.findall(r"`(--\w+)", section("Options of the upload")))
    options = {spelling for parameter in load("upload").params for spelling in parameter.opts[:1]}
    elsewhere = {
        "directory",
        "--config",
        "--topic_name",
        "--version",
    }  # in the table of commands; of every command
    assert described == options - elsewhere


def test_the_readme_has_each_exit_status() -> None:
    described = set(map(int, re.findall(r"^\| (\d+) \|", section("Exit status of the upload"), re.MULTILINE)))
    assert described == {value for name, value in vars(errors).items() if name.startswith("EXIT_")}


@pytest.mark.parametrize("table", [InProgressRow, CompletedRow])
def test_each_column_of_a_table_is_described(table: type[InProgressRow] | type[CompletedRow]) -> None:
    text = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    for column in table._fields:
        assert re.search(rf"^\| .*`{column}`.* \| .* \|$", text, re.MULTILINE), column


def test_the_picture_is_an_svg_with_a_description() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "dfud.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert picture.find("{http://www.w3.org/2000/svg}desc") is not None
