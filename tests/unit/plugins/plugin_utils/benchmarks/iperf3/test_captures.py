"""Every capture of iperf3 gives the findings written in tests/captures/iperf3/golden.txt.

After a change that is meant: PAIRBENCH_UPDATE_GOLDEN=1 pytest THIS_FILE, then read the difference.
"""

from __future__ import annotations

import json
import os

import clone
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks.iperf3.json_output import (
    load,
    parse_document,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.parsing.finding import Finding
from recognised import recognise

CAPTURES = clone.CAPTURES / "iperf3"
GOLDEN = CAPTURES / "golden.txt"
FILES = sorted(path for path in CAPTURES.rglob("*.*") if path.suffix in (".json", ".txt") and path != GOLDEN)
NAMES = [str(path.relative_to(CAPTURES)) for path in FILES]


def describe(name: str, finding: Finding) -> list[str]:
    parameters = " ".join(f"{key}={value}" for key, value in sorted(finding.parameters.items()))
    lines = [
        f"{name}:{finding.line} {finding.mode} {finding.side or '-'} {finding.version or '-'}"
        f" {finding.status} {finding.reason or '-'}",
        f"    {parameters}",
    ]
    lines += [f"    {sample.metric} {sample.value:.12g} {sample.unit}" for sample in finding.samples]
    return lines + [f"    # {note}" for note in finding.notes]


def described(name: str) -> list[str]:
    found = recognise((CAPTURES / name).read_text())
    return [line for finding in found for line in describe(name, finding)] or [f"{name} nothing"]


def golden() -> dict[str, list[str]]:
    kept: dict[str, list[str]] = {}
    name = ""
    for line in GOLDEN.read_text().splitlines():
        if not line.startswith(" "):
            name = line.split()[0].split(":")[0]
        kept.setdefault(name, []).append(line)
    return kept


if os.environ.get("PAIRBENCH_UPDATE_GOLDEN"):
    GOLDEN.write_text("".join(f"{line}\n" for name in NAMES for line in described(name)))


@pytest.mark.parametrize("name", NAMES)
def test_capture_is_read_as_kept(name: str) -> None:
    assert described(name) == golden()[name]


def test_golden_has_no_captures_that_are_gone() -> None:
    assert set(golden()) == set(NAMES)


def metrics(finding: Finding) -> dict[str, float]:
    return {sample.metric: sample.value for sample in finding.samples}


def raw(name: str) -> dict[str, object]:
    """Read a document as Python does, independently of the parser (the last of doubled keys wins)."""
    document: dict[str, object] = json.loads((CAPTURES / name).read_text())
    return document


ONE_WAY = ("tcp", "parallel", "omit", "reverse", "bytes", "server-output")


@pytest.mark.parametrize("version", ["3.9", "3.12", "3.18", "3.22"])
@pytest.mark.parametrize("scenario", ONE_WAY)
def test_client_figures_are_those_of_the_document(version: str, scenario: str) -> None:
    name = f"{version}/{scenario}.client.json"
    end = raw(name)["end"]
    finding = parse_document((CAPTURES / name).read_text())
    assert finding.status == "valid"
    assert metrics(finding) == {
        "throughput_received": end["sum_received"]["bits_per_second"],
        "throughput_sent": end["sum_sent"]["bits_per_second"],
        "retransmits": end["sum_sent"]["retransmits"],
        "cpu_client": end["cpu_utilization_percent"]["host_total"],
        "cpu_server": end["cpu_utilization_percent"]["remote_total"],
    }


@pytest.mark.parametrize("version", ["3.9", "3.12", "3.18", "3.22"])
@pytest.mark.parametrize("scenario", ("tcp", "parallel", "omit"))
def test_a_receiving_server_has_no_figure_of_the_sender(version: str, scenario: str) -> None:
    for form in ("json", "txt"):
        if (CAPTURES / version / f"{scenario}.server.{form}").exists():
            (finding,) = recognise((CAPTURES / version / f"{scenario}.server.{form}").read_text())
            assert finding.status == "valid"
            assert finding.side == "server"
            assert set(metrics(finding)) <= {"throughput_received", "cpu_server"}


@pytest.mark.parametrize("version", ["3.12", "3.18", "3.22"])
def test_udp_loss_is_the_receivers(version: str) -> None:
    name = f"{version}/udp-loss.client.json"
    received = raw(name)["end"]["sum_received"]
    found = metrics(parse_document((CAPTURES / name).read_text()))
    assert found["loss"] == pytest.approx(100 * received["lost_packets"] / received["packets"])
    assert found["loss"] > 0
    assert found["jitter"] == pytest.approx(1000 * received["jitter_ms"])


def test_udp_of_old_versions_is_worked_out_from_the_receivers_packets() -> None:
    total = raw("3.9/udp-loss.client.json")["end"]["sum"]
    found = metrics(parse_document((CAPTURES / "3.9/udp-loss.client.json").read_text()))
    arrived = total["packets"] - total["lost_packets"]
    assert found["throughput_received"] == pytest.approx(8 * 1200 * arrived / total["seconds"])
    assert found["throughput_sent"] == total["bits_per_second"]


@pytest.mark.parametrize("version", ["3.9", "3.12", "3.18", "3.22"])
def test_both_directions_are_kept_apart(version: str) -> None:
    client = parse_document((CAPTURES / version / "bidir.client.json").read_text())
    server = parse_document((CAPTURES / version / "bidir.server.json").read_text())
    there, back = metrics(client), metrics(server)
    assert client.mode == server.mode == "tcp-bidir"
    assert there["throughput_received"] == pytest.approx(back["throughput_received"], rel=1e-6)
    assert there["throughput_received"] != there["throughput_received_reverse"]
    assert {"retransmits", "retransmits_reverse", "throughput_sent", "throughput_sent_reverse"} <= set(there)
    # The server receives forward and sends backward: the other two figures are the client's.
    assert "throughput_sent" not in back
    assert "throughput_received_reverse" not in back


@pytest.mark.parametrize("version", ["3.9", "3.12"])
def test_loss_that_an_old_server_cannot_tell_a_new_client_is_left_out(version: str) -> None:
    folder = CAPTURES / "mixed" / f"3.22-to-{version}"
    assert raw(f"mixed/3.22-to-{version}/udp-loss.client.json")["end"]["sum_received"]["lost_packets"] == 0
    client = parse_document((folder / "udp-loss.client.json").read_text())
    server = parse_document((folder / "udp-loss.server.json").read_text())
    assert client.status == "valid"
    assert not {"loss", "jitter", "packets_per_second"} & set(metrics(client))
    assert any("loss is left out" in note for note in client.notes)
    assert metrics(server)["loss"] > 1


FAULTS = {
    "refused.client": {"3.9": "no_data", "3.12": "refused", "3.18": "refused", "3.22": "refused"},
    "busy.client": {"3.9": "no_data", "3.12": "busy", "3.18": "busy", "3.22": "busy"},
    "interrupted.client": dict.fromkeys(("3.9", "3.12", "3.18", "3.22"), "interrupted"),
    "interrupted.server": dict.fromkeys(("3.9", "3.12", "3.18", "3.22"), "interrupted"),
    "server-stopped.client": {
        "3.9": "no_data",
        "3.12": "interrupted",
        "3.18": "interrupted",
        "3.22": "interrupted",
    },
    "server-stopped.server": dict.fromkeys(("3.9", "3.12", "3.18", "3.22"), "interrupted"),
    "probed.server": {"3.9": "malformed", "3.12": "tool_error", "3.18": "tool_error", "3.22": "tool_error"},
}


@pytest.mark.parametrize(
    ("name", "version"), [(name, version) for name, of in FAULTS.items() for version in of]
)
def test_faults_are_named(name: str, version: str) -> None:
    finding = parse_document((CAPTURES / version / f"{name}.json").read_text())
    assert finding.status != "valid"
    assert finding.reason == FAULTS[name][version]
    assert finding.detail


@pytest.mark.parametrize("version", ["3.9", "3.12", "3.18", "3.22"])
@pytest.mark.parametrize("name", [name for name in FAULTS if "probed" not in name])
def test_faults_in_text_are_one_finding_that_is_not_valid(name: str, version: str) -> None:
    (finding,) = recognise((CAPTURES / version / f"{name}.txt").read_text())
    assert finding.status != "valid"


@pytest.mark.parametrize("version", ["3.9", "3.12", "3.18", "3.22"])
@pytest.mark.parametrize("form", ["json", "txt"])
def test_a_servers_log_has_each_of_its_runs(version: str, form: str) -> None:
    found = recognise((CAPTURES / version / f"log.server.{form}").read_text())
    assert [finding.status for finding in found] == ["valid"] * 3
    assert [finding.mode for finding in found] == ["tcp", "tcp", "udp"]
    assert [finding.parameters["parallel"] for finding in found] == [1, 2, 1]


def test_full_output_after_events_is_one_run() -> None:
    (finding,) = recognise((CAPTURES / "3.22/stream-full.client.json").read_text())
    assert finding.status == "valid"
    assert finding.line == 1


def test_a_document_can_be_looked_into() -> None:
    document, problems = load((CAPTURES / "3.9/bidir.client.json").read_text())
    assert problems == ()
    assert document is not None
    assert document["end"]["sum_sent"]["sender"] is True
    assert document["end"]["sum_sent_bidir_reverse"]["sender"] is False
    assert document["start"]["connected"][0]["remote_host"] == "127.0.0.1"


def test_summary_without_anything_before_it() -> None:
    (finding,) = recognise((CAPTURES / "synthetic/summary-4-streams.txt").read_text())
    assert finding.status == "valid"
    assert metrics(finding) == {
        "throughput_received": 23_500_000_000,
        "throughput_sent": 23_500_000_000,
        "retransmits": 6408,
    }
    assert finding.parameters["parallel"] == 4
