"""The records that benchmarks make are like real ones: valid, as large, and no two alike."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from ansible_collections.pairbench.lab.plugins.plugin_utils.benchmarks import BENCHMARKS
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import CaseSpec
from ansible_collections.pairbench.lab.plugins.plugin_utils.validity.gate import judge
from plans import plan

FOLDER = Path(__file__).parents[3] / "benchmarks"


def usual(name: str) -> CaseSpec:
    """The case of a benchmark where nobody sets a variable: 30 seconds."""
    values = yaml.safe_load((FOLDER.parent / "roles" / name / "defaults" / "main.yml").read_text(encoding="utf-8"))
    return CaseSpec(name, "case", {key: values[f"{name}_{key}"] for key in BENCHMARKS[name].parameters}, 33.0)


@pytest.fixture
def long_records() -> ModuleType:
    spec = importlib.util.spec_from_file_location("long_records", FOLDER / "long_records.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_made_records_are_valid_large_and_different(long_records: ModuleType) -> None:
    planned = plan(3, cases={name: [usual(name)] for name in ("iperf3", "sockperf")}, blocks=2)
    maker = long_records.RecordMaker(planned, dict.fromkeys(BENCHMARKS, 5300))
    figures: dict[tuple[str, bool], set[float]] = {}
    for number, run in enumerate(planned.runs):
        record = maker.record(run, number)
        judgement = judge(record)
        assert (judgement.status, judgement.detail, judgement.checks) == ("valid", "", {})
        assert any(sample.metric.startswith("syscalls_per_") for sample in judgement.samples) == run.traced
        size = len(json.dumps(record.document))
        assert 100_000 < size < 140_000 if run.benchmark == "iperf3" else size < 10_000
        figures.setdefault((run.benchmark, run.traced), set()).add(judgement.samples[0].value)
    assert [len(values) for values in figures.values()] == [6, 6, 6, 6]


def test_documents_are_printed_as_iperf3_prints_them(long_records: ModuleType) -> None:
    capture = json.loads((FOLDER.parent / "tests/captures/records/iperf3_tcp.json").read_text(encoding="utf-8"))
    printed = capture["server"]["stdout"].rstrip()
    again = long_records.cjson(json.loads(printed))
    # Figures of the capture have as many digits as C prints, which Python may write shorter.
    assert [line.split(":\t")[0] for line in again.splitlines()] == [line.split(":\t")[0] for line in printed.splitlines()]
