"""Metrics of a real upload, as promtool and a real Prometheus take them: Debian's package prometheus has both."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dfud import metrics
from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from dfud.broker.ports import free_ports
from tests.helpers.uploading import Upload, command, wait_until

needs_prometheus = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="needs prometheus and promtool: apt-get install --no-install-recommends prometheus",
)


class Prometheus:
    """A Prometheus that scrapes one target every second."""

    def __init__(self, directory: Path, target: str) -> None:
        directory.mkdir()
        (port,) = free_ports(1)
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(Path(metrics.__file__).with_name("alerts.yml"))],
            "scrape_configs": [{"job_name": "dfud", "static_configs": [{"targets": [target]}]}],
        }
        (directory / "prometheus.yml").write_text(json.dumps(config))  # which is YAML, too
        self._url = f"http://127.0.0.1:{port}/api/v1"
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={directory}/prometheus.yml",
                f"--storage.tsdb.path={directory}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the samples of an instant query; none while it starts."""
        try:
            result: list[dict[str, Any]] = self._get(f"query?query={urllib.parse.quote(expression)}")["result"]
        except OSError:
            return []
        return result

    def rule_states(self) -> set[str]:
        """Return how the evaluation of the alerts went: "ok", "unknown" before the first, "err"."""
        return {rule["health"] for group in self._get("rules")["groups"] for rule in group["rules"]}

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._url}/{path}", timeout=10) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
            return data

    def close(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@pytest.fixture
def config(tmp_path: Path, kafka: KafkaNode) -> Path:
    """A configuration file with which librdkafka's statistics come soon."""
    return client_config.write(tmp_path / "c", kafka.bootstrap, producer={"statistics.interval.ms": "200"})


@pytest.fixture
def upload(tmp_path: Path, directory: Path, config: Path, topic: str) -> Iterator[Upload]:
    options = ["--upload_existing", "--metrics_port", 0, "--metrics_file", tmp_path / "dfud.prom"]
    upload = Upload(command(directory, config, topic, *options))
    yield upload
    upload.close()


@needs_prometheus
def test_a_prometheus_scrapes_an_upload(tmp_path: Path, directory: Path, topic: str, upload: Upload) -> None:
    url = upload.wait_for(r"metrics are at (http://(127\.0\.0\.1:\d+)/metrics)")
    (directory / "file").write_bytes(b"x" * 40_000)
    prometheus = Prometheus(tmp_path / "prometheus", url[2])
    try:
        upload.wait_for("all 3 chunks acknowledged")
        (sample,) = wait_until(lambda: prometheus.query("dfud_acknowledged_bytes_total == 40000"))
        assert sample["metric"] == {
            "__name__": "dfud_acknowledged_bytes_total",
            "directory": str(directory),
            "instance": url[2],
            "job": "dfud",
            "topic": topic,
        }
        assert wait_until(lambda: prometheus.query("dfud_kafka_messages_total >= 3"))
        assert wait_until(lambda: prometheus.query("dfud_kafka_connections > 0"))
        assert prometheus.query('dfud_broker_state{state="reachable"} == 1')
        assert prometheus.rule_states() == {"ok"}
        assert prometheus.query("ALERTS") == []
    finally:
        prometheus.close()
    with urllib.request.urlopen(url[1], timeout=10) as answer:
        assert_passes(answer.read())
    upload.quit()
    text = (tmp_path / "dfud.prom").read_bytes()
    assert_passes(text)
    assert f'dfud_exit_status{{directory="{directory}",topic="{topic}"}} 0.0' in text.decode()


def test_an_upload_that_waits_for_its_broker_says_so(tmp_path: Path, directory: Path) -> None:
    (nobody,) = free_ports(1)
    config = client_config.write(tmp_path / "c", f"127.0.0.1:{nobody}")
    file = tmp_path / "dfud.prom"
    upload = Upload(command(directory, config, "topic", "--metrics_port", 0, "--metrics_file", file))
    try:
        url = upload.wait_for(r"metrics are at (http\S+)")[1]
        with urllib.request.urlopen(url, timeout=10) as answer:
            served = answer.read().decode()
        for text in (served, file.read_text()):
            assert re.search(r'^dfud_broker_state{.*state="unreachable".*} 1.0$', text, re.MULTILINE)
            assert re.search(r'^dfud_run_state{.*state="starting".*} 1.0$', text, re.MULTILINE)
        upload.process.send_signal(signal.SIGTERM)
        assert upload.end()[0] == 1
        assert re.search("^dfud_exit_status{.*} 1.0$", file.read_text(), re.MULTILINE)
    finally:
        upload.close()


def assert_passes(text: bytes) -> None:
    """Let promtool check names, units and types."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
