"""Write docs/variables.md from the argument specs of the roles, so that the two cannot disagree.

Usage: ``python tools/make_variables_page.py`` (``--check`` only says whether the page is current).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "variables.md"
HEAD = """# Variables

Written by `tools/make_variables_page.py` from the roles' argument specs.

Host variables, in the inventory:

| variable | meaning |
| --- | --- |
| `pairbench_address` | Address of the host that the measured traffic uses; `ansible_host` when it is not set. |
| `pairbench_host_kind` | What the host is, in place of what it looks like: `vm`, `bare-metal`, `container`, `namespace`. |
| `pairbench_cpus` | CPUs on which a pinned benchmark runs, a list or as the kernel writes it: `[0, 1]`, `0-3,6`. |
| `pairbench_hypervisor` | Name of the hypervisor that carries the host: pairs share its capacity. |
| `pairbench_bottlenecks` | Names of the uplinks that traffic crosses on its way out of where the host is. |
| `pairbench_vmm_libvirt` | Name of the host's libvirt domain on `pairbench_hypervisor`, whose process is counted. |
| `pairbench_vmm_pid_file` | Or: file on the hypervisor that holds the number of the process. A VM lab sets it. |
| `pairbench_vmm_match` | Or: regular expression that fits the command line of that process only. |
| `pairbench_observer_netns` | On a hypervisor: its network namespace from which the guests' data addresses are reached. |
| `ansible_netns` | Namespace of a host whose connection is `pairbench.lab.netns`; the host's name when it is not set. |
| `ansible_netns_root` | Of such a host: a folder with a whole file system of its own, in which everything runs. |
| `ansible_netns_network` | Of such a host: false to run in the network of the machine, as installing needs. |
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    bench = _spec("bench")
    benchmarks = bench["options"]["pairbench_benchmarks"]["choices"]
    for role in ("bench", *benchmarks, "bpftrace", "netns_lab", "vm_lab"):
        spec = _spec(role)
        parts.append(f"\n## Role {role}\n\n{spec['short_description']}.\n\n| variable | type | default | meaning |\n")
        parts.append("| --- | --- | --- | --- |\n")
        parts += [_row(name, option) for name, option in spec["options"].items()]
    return "".join(parts)


def _spec(role: str) -> dict[str, Any]:
    text = (ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
    spec: dict[str, Any] = yaml.safe_load(text)["argument_specs"]["main"]
    return spec


def _row(name: str, option: dict[str, object]) -> str:
    meaning = str(option["description"]).strip()
    if "choices" in option:
        meaning += f" One of {', '.join(str(item) for item in option['choices'])}."  # type: ignore[attr-defined]
    default = option.get("default", "")
    shown = f"`{default}`" if default not in ("", None) else ""
    return f"| `{name}` | {option['type']} | {shown} | {meaning} |\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if PAGE.read_text(encoding="utf-8") == page() else f"{PAGE} is not current: run {sys.argv[0]}")
    PAGE.write_text(page(), encoding="utf-8")
