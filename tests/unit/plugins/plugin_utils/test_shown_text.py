"""Text of hosts, of files and of names of files never controls the terminal that it is shown in."""

from __future__ import annotations

import io
import json
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import clone
import pytest
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli import main as cli
from ansible_collections.pairbench.lab.plugins.plugin_utils.cli.console import say
from ansible_collections.pairbench.lab.plugins.plugin_utils.model import (
    CaseSpec,
    Judgement,
    Plan,
    Run,
    Session,
    Step,
    SyscallCount,
)
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.listed import ListedSteps, series_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.plan import make_plan
from ansible_collections.pairbench.lab.plugins.plugin_utils.planning.remaining import what_remains
from ansible_collections.pairbench.lab.plugins.plugin_utils.report.terminal import render_plan, render_sweep
from ansible_collections.pairbench.lab.plugins.plugin_utils.store.store import Called
from ansible_collections.pairbench.lab.plugins.plugin_utils.sweeps import playbook
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.outcomes import Tally
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.overview import Overview, group_of
from ansible_collections.pairbench.lab.plugins.plugin_utils.tables.results import JudgedRun
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CAPTURES = clone.CAPTURES / "records"
EVIL = "a\x1b[2J\x1b]0;t\x07\x9b1m\x7f\r\b\u202e\u2028\u2066\x00\ud800z"
HOSTILE = st.text(st.sampled_from(EVIL + "=é\n\t"), max_size=30)


def obeyed(text: str) -> set[str]:
    """Characters of a text, line ends aside, that a terminal would obey or an encoding refuse."""
    kinds, turning = {"Cc", "Cs", "Zl", "Zp"}, {"RLO", "LRO", "RLI", "LRI", "FSI", "PDI"}
    return {
        char for char in text.replace("\n", "")
        if unicodedata.category(char) in kinds or unicodedata.bidirectional(char) in turning
    }  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=HOSTILE, name=HOSTILE)
def test_the_summary_shows_hostile_text_and_obeys_none(text: str, name: str) -> None:
    run = Run("run1", 1, 1, f"s{name}", f"c{name}", "iperf3", f"case{name}", {}, 1, True, 1.0)
    step = Step(1, 1, "iperf3", (Session(run.server, run.client, (run,)),))
    plan = Plan(f"s{name}", text, 1, "rounds", 1, {}, ListedSteps((step,)))
    call = SyscallCount("server", "process", text, f"sys_enter_{text}", 3)
    judged = [
        Judgement("failed", "tool_error", text), Judgement("invalid", text, text), Judgement("valid", syscalls=(call,)),
        Judgement("valid", checks={text: text}),
    ]  # fmt: skip
    runs = [JudgedRun(replace(run, run_id=f"run{number}"), None, item) for number, item in enumerate(judged)]
    hosts = {run.server: {"fingerprint": {"kind": text}}}
    tally = Tally(plan, {})
    for item in runs:
        tally.see(item)
    groups = [group_of(series_of(run), [Called(run.run_id, 0, "", True, {("server", "process"): {f"sys_enter_{text}": 3}})])]
    told = Overview(plan, tally.outcomes(), groups, 1, hosts, (f"{text} is left out",))
    shown = render_sweep(Path(f"/results/{name}"), told)
    assert not obeyed(shown)
    assert not obeyed(render_plan(plan, what_remains(plan), everything=True))


def test_a_line_end_in_a_name_makes_no_line_of_its_own() -> None:
    made = make_plan(
        sweep="s", configuration="c\nall runs are valid", hosts={"h1": "10.0.0.1", "h2": "10.0.0.2"}, seed=1, blocks=1,
        cases={"iperf3": [CaseSpec("iperf3", "case", {}, 1.0)]}, directions={"iperf3": "both"},
    )  # fmt: skip
    assert "all runs are valid" not in render_plan(made, what_remains(made)).splitlines()


@pytest.mark.parametrize("form", ["json", "table"])
def test_parsing_a_hostile_file_shows_its_text_and_obeys_none(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = json.loads((CAPTURES / "iperf3_tcp.json").read_text(encoding="utf-8"))["client"]["stdout"]
    document = json.loads(text)
    document["start"]["version"] = f"iperf 3.16{EVIL}"
    document["error"] = f"broken{EVIL}"
    path = tmp_path / "a\x1b[2J\u202eb.txt"
    path.write_text(json.dumps(document), encoding="utf-8")
    cli.main(["parse", "--format", form, str(path)])
    printed = capsys.readouterr()
    assert "iperf3" in printed.out and not obeyed(printed.out)
    if form == "json":
        [finding] = json.loads(printed.out)
        assert finding["file"] == str(path), "what was escaped is the same text for whatever reads the JSON"
    assert cli.main(["parse", f"{path}\x1b[2J"]) == 2
    assert not obeyed(capsys.readouterr().err)


@pytest.mark.parametrize("asked", [["tables"], ["shards", "--workers", "2"], ["merge", "/tmp/x\x1bt"]])
def test_complaints_name_hostile_paths_in_one_line(
    asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*asked, str(tmp_path / "no\x1b[2J\nsweep\u202e")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "no\\x1b[2J\\x0asweep\\u202e" in told and not obeyed(told)


def test_neither_the_log_of_a_pass_nor_its_lines_hold_what_a_terminal_obeys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    one = playbook.Pass("p", [], tmp_path / "log", said.append)
    log = io.StringIO()
    shown = f"[1/2 runs, 50 %] {EVIL}\n\x1b[0;31mfatal: [h]: {EVIL}\x1b[0m\nok"
    event: dict[str, Any] = {"event": "verbose", "stdout": shown}
    one._event(event, log)
    assert said and not obeyed("".join(said)) and not obeyed(log.getvalue())
    assert log.getvalue().splitlines()[-1].endswith(" ok")
    say(f"a\n{EVIL}")
    printed = capsys.readouterr().out
    assert printed.startswith("a\na\\x1b") and not obeyed(printed)
