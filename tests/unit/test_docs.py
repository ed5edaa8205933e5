"""The documents describe everything that exists, and nothing that does not."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import exit_statuses_table
import msgspec
import pytest

import dfud
from dfud import errors
from dfud.commands.main import COMMANDS, load
from dfud.core.tables import CompletedRow, InProgressRow
from dfud.logs.upload_status import UploadStatus

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a document."""
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_to_something_that_exists(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert ROOT in target.parents, link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_that_is_named_exists(document: Path) -> None:
    """A module that is named without its folder lies in the folder that was named last before it.

    The how-to pages have programs of their readers, too.
    """
    folder = ROOT
    for name in re.findall(r"`([\w./-]+)`", document.read_text(encoding="utf-8")):
        if re.match("(dfud|tests|benchmarks|scripts)/", name):
            path = ROOT / name
            assert path.exists(), name
            folder = path if path.is_dir() else path.parent
        elif re.fullmatch(r"\w+\.py", name) and document.parent.name != "howto":
            assert (folder / name).exists(), f"{name} in {folder}"


def test_the_glossary_defines_each_word_once() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = [word for word in re.findall(r"^\| (.*?) \| .* \|$", text, re.MULTILINE) if word != "word"]
    assert len(words) > 50
    assert sorted(words) == sorted(set(words))


def section(title: str) -> str:
    """Return the text of a section of the README, up to the next heading of any level."""
    match = re.search(rf"^#+ {title}\n(.*?)(?=^#)", README, re.MULTILINE | re.DOTALL)
    assert match is not None, title
    return match[1]


def test_the_readme_has_each_command() -> None:
    assert set(re.findall(r"^\| `dfud (\w+)", section("Commands"), re.MULTILINE)) == set(COMMANDS)


def test_the_readme_has_each_option_of_the_upload() -> None:
    described = set(re.findall(r"`(--\w+)", section("Options of the upload")))
    described_elsewhere = {"directory", "--config", "--topic_name", "--version"}
    assert described == upload_options() - described_elsewhere


def test_the_table_of_openmsistreams_options_is_whole() -> None:
    text = (ROOT / "docs" / "openmsistream.md").read_text(encoding="utf-8")
    of_upload, _, _ = text.partition("## Options of a download")
    described = re.findall(r"^\| `(--\w+)` \|", of_upload, re.MULTILINE)
    assert len(described) == len(set(described)) == 25
    assert set(described) <= upload_options(hidden=True) | upload_options()
    assert upload_options(hidden=True) <= set(described)


def upload_options(hidden: bool = False) -> set[str]:
    """Return the names of the upload's options, of those that its help shows or of the others."""
    parameters = load("upload").params
    return {each.opts[0] for each in parameters if getattr(each, "hidden", False) is hidden}


def test_the_readme_has_each_exit_status() -> None:
    described = set(map(int, re.findall(r"^\| (\d+) \|", section("Exit status of the upload"), re.MULTILINE)))
    assert described == {value for name, value in vars(errors).items() if name.startswith("EXIT_")}


@pytest.mark.parametrize("table", [InProgressRow, CompletedRow])
def test_each_column_of_a_table_is_described(table: type[InProgressRow] | type[CompletedRow]) -> None:
    text = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    for column in table._fields:
        assert re.search(rf"^\| .*`{column}`.* \| .* \|$", text, re.MULTILINE), column


def test_each_field_of_the_status_is_described() -> None:
    text = (ROOT / "docs" / "status.md").read_text(encoding="utf-8")
    described = set(re.findall(r"`([\w.]+)`", "\n".join(re.findall(r"^\| (.*?) \|", text, re.MULTILINE))))
    fields = set()
    for field in msgspec.structs.fields(UploadStatus):
        kinds = [field.type, *get_args(field.type)]
        structs = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
        parts = [part for struct in structs for part in msgspec.structs.fields(struct)]
        fields |= {f"{field.name}.{each.name}" for each in parts} or {field.name}
    assert fields <= described, fields - described


def test_the_picture_is_an_svg_with_a_description() -> None:
    picture = ElementTree.parse(ROOT / "docs" / "dfud.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert picture.find("{http://www.w3.org/2000/svg}desc") is not None


def test_the_tables_of_exit_statuses_are_those_of_the_code() -> None:
    assert exit_statuses_table.written_tables() == exit_statuses_table.tables()


def test_each_command_is_on_the_page_of_the_commands() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\.\. click:: dfud\.commands\.(\w+):(\w+)\n   :prog: dfud (\w+)$", text, re.MULTILINE)
    assert shown == [(name, name, name) for name in COMMANDS]


def test_each_public_name_is_on_the_page_of_the_api() -> None:
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^\.\. auto\w+:: (\w+)", text, re.MULTILINE))
    assert shown == {name for name in dfud.__all__ if not name.startswith("__")}


def test_each_page_is_in_the_contents_of_the_site() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    contents = "".join(re.findall(r"```{toctree}\n(.*?)```", index, re.DOTALL))
    listed = re.findall(r"^(\w[\w-]*)$", contents, re.MULTILINE)
    assert set(listed) == {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}


def test_what_the_faq_quotes_is_printed() -> None:
    """Each line consists of texts of the code, but for what differs from case to case and is shown as …."""
    texts = sorted(printed_texts(), key=len, reverse=True)
    text = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8")
    quoted = "".join(re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)).splitlines()
    assert len(quoted) > 20
    for line in quoted:
        rest = re.sub(OF_OTHERS, "|", line)
        for each in texts:
            rest = rest.replace(each, "|")
        assert len(re.findall(r"\w+", rest)) <= 2, (line, rest)  # words that stand alone in the code


OF_OTHERS = "Connection refused|Permission denied|Read-only file system|No space left on device"  # errno(3)


def printed_texts() -> set[str]:
    """Return the texts in the code that are long enough to be recognised, and the parts of those with gaps."""
    texts: set[str] = set()
    for path in (ROOT / "dfud").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.update(part.strip() for part in re.split(r"{\w*}|%s", node.value))
    return {text for text in texts if " " in text}
