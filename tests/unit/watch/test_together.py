"""Which files are reported in one message, and that nothing gets lost or changes its place by that."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from dfud.core.version import FileVersion
from dfud.messages import FileFound, FilesFound
from dfud.watch.together import each_of, together


def found(path: bytes, compare: bool = False, keeps_ctime: bool = True, size: int = 10) -> FileFound:
    return FileFound(FileVersion(path, size, 1), compare, 2, 3, keeps_ctime)


def test_files_of_one_folder_are_reported_together() -> None:
    files = [found(b"folder/%d" % number) for number in range(4)]
    (message,) = together(files)
    assert isinstance(message, FilesFound)
    assert list(each_of(message)) == files


def test_a_few_files_are_reported_one_by_one() -> None:
    files = [found(b"folder/%d" % number) for number in range(3)]
    assert list(together(files)) == files


def test_files_whose_ctimes_say_nothing_are_reported_one_by_one() -> None:
    files = [found(b"%d" % number, keeps_ctime=False) for number in range(5)]
    assert list(together(files)) == files


def test_larger_files_are_reported_in_several_messages_for_several_lanes() -> None:
    files = [found(b"%d" % number, size=1 << 20) for number in range(34)]
    files.append(found(b"large", size=1 << 30))
    messages = list(together(files))
    assert [len(each.versions) for each in messages if isinstance(each, FilesFound)] == [16, 16]
    assert [each for each in messages if isinstance(each, FileFound)] == files[32:]


@given(
    st.lists(
        st.builds(
            found,
            st.sampled_from((b"a/1", b"a/2", b"b/c/1", b"1")),
            st.booleans(),
            st.booleans(),
            st.sampled_from((10, 3 << 20)),
        )
    )
)
def test_each_file_is_reported_in_its_order_with_all_that_is_known(files: list[FileFound]) -> None:
    reported: list[FileFound] = []
    for message in together(files):
        reported += each_of(message) if isinstance(message, FilesFound) else [message]
    assert reported == files
