"""A plan as a JSON document and back, with every field looked at: nothing that a plan holds is taken for granted.

A plan becomes names of files, commands on hosts and loops, so a document that does not add up is refused as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from ..model import RUN_ID, SCHEMA_VERSION, CaseSpec, Plan, Run, Session, Step
from ..shapes import WrongShape, flag_of, list_of, number_of, object_of, text_of, whole_of, word_of
from .plan import DIRECTIONS, MODES, MOST_BLOCKS, require_bearable
from .rounds import Pair
from .steps import PlannedSteps, Round, runs_of_a_block

IMPORTED = "imported"
"""The mode of a sweep that was made of handwritten notes."""
MOST_HOSTS = 100_000
MOST_CASES = 10_000
LONGEST_RUN_SECONDS = 1e9
_UID = re.compile(r"[A-Za-z0-9_-]{0,64}")
_WORD = re.compile(r"[a-z0-9_]{1,40}")
_PAIR = re.compile(r"(\d{1,6}):(\d{1,6})")


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """The document of a plan."""
    plain = {item.name: getattr(plan, item.name) for item in fields(plan) if item.name != "steps"}
    plain["hosts"] = list(plan.hosts.items())  # in inventory order; the keys of an object would be sorted
    if isinstance(plan.steps, PlannedSteps):
        plain["design"] = _design(plan.steps, list(plan.hosts))
    else:
        plain["steps"] = [asdict(step) for step in plan.steps]
    return {"schema": SCHEMA_VERSION} | plain


def plan_from_json(document: Any) -> Plan:
    """A plan from its document. Raises WrongShape, and PlanError where it is larger than any sweep can be."""
    names = {"schema", "design", *(item.name for item in fields(Plan))}
    plain = object_of(document, "the plan", names)
    if plain.get("schema") != SCHEMA_VERSION:
        raise WrongShape(f"schema is {plain.get('schema')!r:.40}, this version reads schema {SCHEMA_VERSION}")
    hosts = _hosts(plain.get("hosts"))
    seed = whole_of(plain.get("seed"), "seed", 0, 2**63)
    blocks = whole_of(plain.get("blocks"), "blocks", 1, MOST_BLOCKS)
    if ("design" in plain) == ("steps" in plain):
        raise WrongShape("it must have either a design or steps")
    designed = "design" in plain
    return Plan(
        sweep=text_of(plain.get("sweep"), "sweep", most=255),
        configuration=text_of(plain.get("configuration"), "configuration", most=255),
        seed=seed,
        mode=word_of(plain.get("mode"), "mode", (*MODES, IMPORTED)),
        blocks=blocks,
        hosts=hosts,
        steps=_planned(plain["design"], list(hosts), seed, blocks) if designed else _steps(plain["steps"], hosts),
        settings=_settings(plain.get("settings", {})),
        uid=text_of(plain.get("uid", ""), "uid", like=_UID),
    )


def _hosts(value: Any) -> dict[str, str]:
    pairs = list(value.items()) if isinstance(value, Mapping) else list_of(value, "hosts")
    if len(pairs) > MOST_HOSTS:
        raise WrongShape(f"hosts are {len(pairs)}, more than {MOST_HOSTS}")
    found: dict[str, str] = {}
    for number, pair in enumerate(pairs):
        where = f"hosts[{number}]"
        if len(list_of(pair, where)) != 2:
            raise WrongShape(f"{where} must be a name and an address")
        found[text_of(pair[0], f"{where}, its name,", most=255)] = text_of(pair[1], f"{where}, its address,", most=255)
    if len(found) != len(pairs):
        raise WrongShape("hosts has one name twice")
    return found


def _settings(value: Any) -> Mapping[str, Any]:
    """What the plan was made from. What is worked with, beside being compared, is looked at."""
    settings = object_of(value, "settings")
    for name in ("pairbench_hypervisor", "pairbench_cpus"):
        for host, given in object_of(settings.get(name, {}), f"settings.{name}").items():
            text_of(given, f"settings.{name}.{host}")
    for host, given in object_of(settings.get("pairbench_bottlenecks", {}), "settings.pairbench_bottlenecks").items():
        for item in list_of(given, f"settings.pairbench_bottlenecks.{host}"):
            text_of(item, f"settings.pairbench_bottlenecks.{host}")
    for item, given in object_of(settings.get("pairbench_capacities", {}), "settings.pairbench_capacities").items():
        whole_of(given, f"settings.pairbench_capacities.{item}", 1, 2**31)
    return settings


# A plan by its design.


def _design(steps: PlannedSteps, hosts: list[str]) -> dict[str, Any]:
    """What the steps are made from. Pairs are positions in the list of hosts, one line a round: large plans stay small."""
    position = {host: number for number, host in enumerate(hosts)}
    return {
        "rounds": [
            {"level": item.level, "pairs": " ".join(f"{position[one]}:{position[other]}" for one, other in item.pairs)}
            for item in steps.rounds
        ],
        "cases": {benchmark: [asdict(case) for case in cases] for benchmark, cases in steps.cases.items()},
        "directions": dict(steps.directions),
        "trace": steps.trace,
    }


def _planned(value: Any, hosts: list[str], seed: int, blocks: int) -> PlannedSteps:
    design = object_of(value, "design", ("rounds", "cases", "directions", "trace"))
    rounds = tuple(
        _round(item, f"design.rounds[{number}]", hosts)
        for number, item in enumerate(list_of(design.get("rounds"), "design.rounds"))
    )
    _require_each_pair_once(rounds)
    cases = {
        text_of(name, "a key of design.cases", like=_WORD): _cases(specs, f"design.cases.{name}", name)
        for name, specs in object_of(design.get("cases"), "design.cases").items()
    }
    given = object_of(design.get("directions"), "design.directions")
    directions = {name: word_of(word, f"design.directions.{name}", DIRECTIONS) for name, word in given.items()}
    if not set(cases) <= set(directions):
        raise WrongShape("design.directions must have a direction for every key of design.cases")
    trace = flag_of(design.get("trace"), "design.trace")
    # Before the steps are made: they hold every case of every round.
    require_bearable(blocks, runs_of_a_block(rounds, cases, directions, trace))
    return PlannedSteps(seed, blocks, rounds, cases, directions, trace)


def _round(value: Any, where: str, hosts: list[str]) -> Round:
    item = object_of(value, where, ("level", "pairs"))
    level = item.get("level")
    if level is not None:
        level = whole_of(level, f"{where}.level", 1, max(1, len(hosts)))
    pairs = item.get("pairs")
    if not isinstance(pairs, str):
        raise WrongShape(f"{where}.pairs must be a text like '0:1 2:3'")
    return Round(tuple(_pair(text, f"{where}.pairs", hosts) for text in pairs.split()), level)


def _pair(text: str, where: str, hosts: list[str]) -> Pair:
    found = _PAIR.fullmatch(text)
    one, other = (int(found[1]), int(found[2])) if found else (0, 0)
    if one == other or max(one, other) >= len(hosts):
        raise WrongShape(f"{where} has {text!r:.40}, which is no pair of two of the {len(hosts)} hosts")
    return hosts[one], hosts[other]


def _require_each_pair_once(rounds: Sequence[Round]) -> None:
    seen: set[tuple[int | None, Pair]] = set()
    for item in rounds:
        before = len(seen)
        seen.update((item.level, pair) for pair in item.pairs)
        if len(seen) != before + len(item.pairs):
            raise WrongShape("design.rounds has a pair twice, whose runs would have the same names")


def _cases(value: Any, where: str, benchmark: str) -> tuple[CaseSpec, ...]:
    specs = list_of(value, where)
    if len(specs) > MOST_CASES:
        raise WrongShape(f"{where} has {len(specs)} cases, more than {MOST_CASES}")
    found = tuple(_case(spec, f"{where}[{number}]", benchmark) for number, spec in enumerate(specs))
    if len({spec.name for spec in found}) != len(found):
        raise WrongShape(f"{where} has two cases of one name")
    return found


def _case(value: Any, where: str, benchmark: str) -> CaseSpec:
    spec = object_of(value, where, ("benchmark", "name", "parameters", "seconds"))
    return CaseSpec(
        benchmark=word_of(spec.get("benchmark"), f"{where}.benchmark", (benchmark,)),
        name=text_of(spec.get("name"), f"{where}.name"),
        parameters=_parameters(spec.get("parameters"), f"{where}.parameters"),
        seconds=number_of(spec.get("seconds"), f"{where}.seconds", 0, LONGEST_RUN_SECONDS),
    )


def _parameters(value: Any, where: str) -> Mapping[str, Any]:
    parameters = object_of(value, where)
    for name, given in parameters.items():
        for item in given if isinstance(given, (list, tuple)) else (given,):
            if not isinstance(item, (str, int, float)) and item is not None:
                raise WrongShape(f"{where}.{name} must be a text, a number, true, false or a list of them")
    return parameters


# A plan by its steps, as imported notes have it.


def _steps(value: Any, hosts: Mapping[str, str]) -> tuple[Step, ...]:
    found = tuple(_step(item, f"steps[{number}]", hosts) for number, item in enumerate(list_of(value, "steps")))
    runs = [run.run_id for step in found for session in step.sessions for run in session.runs]
    require_bearable(1, len(runs))
    if len(set(runs)) != len(runs):
        raise WrongShape("steps has two runs of one name")
    return found


def _step(value: Any, where: str, hosts: Mapping[str, str]) -> Step:
    step = object_of(value, where, [item.name for item in fields(Step)])
    return Step(
        block=whole_of(step.get("block"), f"{where}.block", 1, MOST_BLOCKS),
        round=whole_of(step.get("round"), f"{where}.round", 0, 2**31),
        benchmark=text_of(step.get("benchmark"), f"{where}.benchmark", like=_WORD),
        sessions=tuple(
            _session(item, f"{where}.sessions[{number}]", hosts)
            for number, item in enumerate(list_of(step.get("sessions"), f"{where}.sessions"))
        ),
    )


def _session(value: Any, where: str, hosts: Mapping[str, str]) -> Session:
    session = object_of(value, where, [item.name for item in fields(Session)])
    server, client = (word_of(session.get(side), f"{where}.{side}", hosts) for side in ("server", "client"))
    runs = list_of(session.get("runs"), f"{where}.runs")
    return Session(
        server, client, tuple(_run(run, f"{where}.runs[{number}]", server, client) for number, run in enumerate(runs))
    )


def _run(value: Any, where: str, server: str, client: str) -> Run:
    run = object_of(value, where, [item.name for item in fields(Run)])
    level = run.get("level")
    return Run(
        run_id=text_of(run.get("run_id"), f"{where}.run_id", like=RUN_ID),
        block=whole_of(run.get("block"), f"{where}.block", 1, MOST_BLOCKS),
        round=whole_of(run.get("round"), f"{where}.round", 0, 2**31),
        server=word_of(run.get("server"), f"{where}.server", (server,)),
        client=word_of(run.get("client"), f"{where}.client", (client,)),
        benchmark=text_of(run.get("benchmark"), f"{where}.benchmark", like=_WORD),
        case=text_of(run.get("case"), f"{where}.case"),
        parameters=_parameters(run.get("parameters"), f"{where}.parameters"),
        repeat=whole_of(run.get("repeat"), f"{where}.repeat", 0, 2**31),
        traced=flag_of(run.get("traced"), f"{where}.traced"),
        seconds=number_of(run.get("seconds"), f"{where}.seconds", 0, LONGEST_RUN_SECONDS),
        level=None if level is None else whole_of(level, f"{where}.level", 1, MOST_HOSTS),
    )
