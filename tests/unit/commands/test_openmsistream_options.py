"""Each option of OpenMSIStream's upload is taken: it works as there, or a line says why it has no use."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from dfud.commands import upload as module
from dfud.commands.main import run
from dfud.commands.upload import upload
from dfud.errors import UsageError
from dfud.kafka.config import ClientConfig
from dfud.uploading.options import UploadOptions

Started = tuple[UploadOptions, ClientConfig]


class Bench:
    def __init__(self, tmp_path: Path) -> None:
        self.config = tmp_path / "file.config"
        self.config.write_text("[broker]\nbootstrap.servers = 127.0.0.1:9\n")
        self.top = tmp_path / "top"
        self.top.mkdir()
        self.started: list[Started] = []

    def start(self, options: UploadOptions, client: ClientConfig) -> int:
        self.started.append((options, client))
        return 0

    def options(self, *arguments: object) -> Started:
        """Return with what an upload is started."""
        words = [self.top, "--config", self.config, *arguments]
        upload.main([str(word) for word in words], standalone_mode=False)
        return self.started[-1]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    monkeypatch.setattr(module, "run_upload", made.start)
    return made


def test_without_the_options_nothing_is_announced(bench: Bench) -> None:
    options, client = bench.options("--topic_name", "t")
    assert options.announcements == ()
    assert client.warnings == ()


def test_what_is_announced(bench: Bench) -> None:
    options, _ = bench.options(
        "--topic_name", "t", "--heartbeat_topic_name", "h", "--log-topic-name", "l", "--log_program_id", "me",
        "--log_interval_secs", "5",
    )  # fmt: skip
    heartbeat, log = options.announcements
    assert heartbeat[:4] == ("heartbeat", "h", None, 900.0)
    assert log[:4] == ("log", "l", "me", 5.0)
    assert heartbeat.key("host:dir:t") == b"host:dir:t_heartbeat"
    assert log.key("host:dir:t") == b"me_log"


def test_the_topic_has_two_names_of_which_openmsistreams_second_counts(bench: Bench) -> None:
    assert bench.options("--producer_topic_name", "p")[0].topic == "p"
    assert bench.options("--topic_name", "t", "--producer_topic_name", "p")[0].topic == "p"
    with pytest.raises(click.UsageError, match="Missing option '--topic_name'"):
        bench.options()


def test_options_for_readers_are_taken_with_a_line_each(bench: Bench) -> None:
    _, client = bench.options(
        "--topic_name", "t", "--consumer_topic_name", "c", "--consumer_group_id", "g",
        "--treat_undecryptable_as_plaintext", "--max_wait_per_decrypt", "5",
        "--max_initial_wait_per_decrypt", "60",
    )  # fmt: skip
    assert client.warnings == (
        "--consumer_topic_name has no effect: an upload reads no topic",
        "--consumer_group_id has no effect: an upload reads no topic",
        "--treat_undecryptable_as_plaintext has no effect: dfud does not encrypt",
        "--max_wait_per_decrypt has no effect: dfud does not encrypt",
        "--max_initial_wait_per_decrypt has no effect: dfud does not encrypt",
    )


def test_an_id_without_a_topic_has_no_effect(bench: Bench) -> None:
    _, client = bench.options("--topic_name", "t", "--heartbeat_program_id", "me", "--log_interval_secs", "1")
    assert client.warnings == (
        "--heartbeat_program_id has no effect without --heartbeat_topic_name",
        "--log_interval_secs has no effect without --log_topic_name",
    )


def test_the_topic_of_the_files_takes_nothing_else(bench: Bench) -> None:
    with pytest.raises(UsageError, match="--log_topic_name t is the topic of the files"):
        bench.options("--topic_name", "t", "--log_topic_name", "t")


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_intervals_are_numbers_of_seconds(bench: Bench, seconds: str) -> None:
    with pytest.raises(click.BadParameter):
        bench.options("--topic_name", "t", "--heartbeat_topic_name", "h", "--heartbeat_interval_secs", seconds)


def test_a_bare_name_is_looked_for_where_openmsistream_looks(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert bench.options("--topic_name", "t", "--config", "file")[1].path == "file.config"
    monkeypatch.chdir(bench.top)
    monkeypatch.setenv("OPENMSISTREAM_CONFIG_FILE_DIR", str(tmp_path))
    assert bench.options("--topic_name", "t", "--config", "file")[1].path == str(bench.config)
    assert run(upload, [str(bench.top), "--topic_name", "t", "--config", "test_node"], "upload") == 2
    assert capsys.readouterr().err == (
        "upload: there is no config file test_node or test_node.config here; a name alone stands for a file that "
        "OpenMSIStream comes with, and dfud has none: give the path of a file\n"
    )
