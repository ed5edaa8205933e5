"""The alerts of the package: each fires for what it is about, and none while all is well."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dfud import metrics
from dfud.metrics.families import INFO, RULES

FOLDER = Path(metrics.__file__).parent
ALERTS = FOLDER / "alerts.yml"
DASHBOARD = FOLDER / "dashboard.json"
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
METRICS = {INFO, *(rule.name for rule in RULES)}

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="needs promtool: apt-get install --no-install-recommends prometheus",
)

NOW = "0+15x1000"  # as every later time: the value is the time, with a sample every 15 s
WELL = {
    'up{job="dfud"}': "1x1000",
    'dfud_run_info{once="false"}': "1x1000",
    'dfud_run_state{state="starting"}': "0x1000",
    'dfud_run_state{state="running"}': "1x1000",
    'dfud_run_state{state="ended"}': "0x1000",
    "dfud_status_timestamp_seconds": NOW,
    'dfud_broker_state{state="unreachable"}': "0x1000",
    'dfud_broker_state{state="slow"}': "0x1000",
    'dfud_undelivered_files{kind="failed"}': "0x1000",
    'dfud_undelivered_files{kind="retrying"}': "0x1000",
    'dfud_undelivered_files{kind="left"}': "0x1000",
    'dfud_undelivered_files{kind="held"}': "3x1000",
    "dfud_unread_folders": "0x1000",
    "dfud_stalled_workers": "0x1000",
    "dfud_worker_restarts_total": "2x1000",
    "dfud_inotify_overflows_total": "2x1000",
    "dfud_canary_overdue": "0x1000",
    "dfud_logs_writable": "1x1000",
    "dfud_logs_free_bytes": "1000000000x1000",
    'dfud_topic_findings{severity="critical"}': "0x1000",
    'dfud_topic_findings{severity="warning"}': "0x1000",
    "dfud_topic_harmed": "0x1000",
    'dfud_receiver_retention_seconds{receiver="archive"}': "7200x1000",
    'dfud_receiver_lost_files{receiver="archive"}': "0x1000",
}
ENDED = {
    'dfud_run_state{state="running"}': "0x1000",
    'dfud_run_state{state="ended"}': "1x1000",
    "dfud_status_timestamp_seconds": "0x1000",
}
CRON = {'dfud_run_info{once="false"}': "_x1000", 'dfud_run_info{once="true"}': "1x1000"}
# What is different, when it is looked at, and which alerts fire then
CASES: list[tuple[dict[str, str], str, set[str]]] = [
    ({}, "30m", set()),
    ({'up{job="dfud"}': "1x10 0x1000"}, "5m", {"DfudDown"}),
    ({**ENDED, "dfud_exit_status": "0x1000"}, "2m", {"DfudEnded"}),
    ({**ENDED, **CRON, "dfud_exit_status": "0x1000"}, "30m", set()),
    ({**ENDED, **CRON, "dfud_exit_status": "1x1000"}, "1m", {"DfudFailed"}),
    ({**ENDED, **CRON, "dfud_status_timestamp_seconds": "-86400x1000"}, "1m", {"DfudOverdue"}),
    ({"dfud_status_timestamp_seconds": "0+15x4 60x1000"}, "2m", set()),
    ({"dfud_status_timestamp_seconds": "0+15x4 60x1000"}, "3m", {"DfudStale"}),
    ({'dfud_run_state{state="starting"}': "1x1000"}, "6m", {"DfudStarting"}),
    ({"dfud_stalled_workers": "1x1000"}, "45s", {"DfudWorkerStalled"}),
    ({"dfud_worker_restarts_total": "0+1x10 10x1000"}, "10m", {"DfudWorkersDie"}),
    ({"dfud_canary_overdue": "1x1000"}, "15s", {"DfudCanaryOverdue"}),
    ({"dfud_status_timestamp_seconds": "100+15x1000"}, "2m", {"DfudClockAhead"}),
    ({'dfud_broker_state{state="unreachable"}': "1x1000"}, "75s", {"DfudBrokerUnreachable"}),
    ({'dfud_broker_state{state="slow"}': "1x1000"}, "16m", {"DfudBrokerSlow"}),
    ({'dfud_topic_findings{severity="critical"}': "1x1000"}, "45s", {"DfudTopicRefused"}),
    ({'dfud_topic_findings{severity="warning"}': "1x1000"}, "11m", {"DfudTopicDoubtful"}),
    ({"dfud_topic_harmed": "1x1000"}, "15s", {"DfudTopicHarmed"}),
    ({'dfud_receiver_retention_seconds{receiver="archive"}': "3599x1000"}, "15s", {"DfudReceiverLate"}),
    ({'dfud_receiver_lost_files{receiver="archive"}': "1x1000"}, "15s", {"DfudReceiverLost"}),
    ({"dfud_oldest_file_timestamp_seconds": "0x1000"}, "9m", set()),
    ({"dfud_oldest_file_timestamp_seconds": "0x1000"}, "11m", {"DfudFileWaits"}),
    ({"dfud_oldest_file_timestamp_seconds": "0x1000"}, "61m", {"DfudFileWaits", "DfudFileWaitsLong"}),
    ({'dfud_undelivered_files{kind="failed"}': "1x1000"}, "15s", {"DfudFilesFailed"}),
    ({'dfud_undelivered_files{kind="left"}': "1x1000"}, "11m", {"DfudFilesUnread"}),
    ({"dfud_unread_folders": "1x1000"}, "11m", {"DfudFoldersUnread"}),
    ({"dfud_inotify_overflows_total": "0+1x10 10x1000"}, "10m", {"DfudEventsLost"}),
    ({"dfud_logs_free_bytes": "99999999x1000"}, "45s", {"DfudLogsAlmostFull"}),
    ({"dfud_logs_writable": "0x1000"}, "45s", {"DfudLogsNotWritable"}),
]


def alert_names() -> set[str]:
    return set(re.findall(r"- alert: (\w+)", ALERTS.read_text(encoding="utf-8")))


def promtool(*words: str) -> None:
    done = subprocess.run(
        ["promtool", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout


@needs_promtool
def test_promtool_finds_nothing_wrong() -> None:
    promtool("check", "rules", "--lint-fatal", str(ALERTS))


@needs_promtool
def test_each_alert_fires_for_what_it_is_about(tmp_path: Path) -> None:
    def case(changes: dict[str, str], time: str, alerts: set[str]) -> dict[str, Any]:
        series = {**WELL, **changes}
        firing = 'count by (alertname) (ALERTS{alertstate="firing"})'
        samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(alerts)]
        return {
            "interval": "15s",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [{"expr": firing, "eval_time": time, "exp_samples": samples}],
        }

    tests = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "15s",
        "tests": [case(*each) for each in CASES],
    }
    file = tmp_path / "tests.yml"
    file.write_text(json.dumps(tests))  # which is YAML, too
    promtool("test", "rules", str(file))
    assert {name for _, _, alerts in CASES for name in alerts} == alert_names()


@needs_promtool
def test_each_expression_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(expressions) > 20
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(expressions)
    ]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(file))


@pytest.mark.parametrize("file", [ALERTS, DASHBOARD], ids=lambda path: path.name)
def test_only_metrics_that_exist_are_used(file: Path) -> None:
    used = set(re.findall(r"\bdfud_\w+", file.read_text(encoding="utf-8")))
    assert len(used) > 10
    assert used <= METRICS, used - METRICS


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, panel["title"]
        cells |= own
    assert {x for x, _ in cells} == set(range(24))


def test_the_document_has_each_alert() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(Dfud\w+)`", text, re.MULTILINE)) == alert_names()
