"""Put this clone on a virtual environment's path as the collection ``pairbench.lab``.

ansible-core looks for ``ansible_collections`` on ``sys.path``, so one symbolic link inside the environment's
site-packages is enough: no Galaxy, no ``collections_path``, and edits in the clone are live. The console
script ``pairbench`` is written beside it, as a wheel would.

Usage: ``python tools/link_collection.py .venv/bin``
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONSOLE_SCRIPT = """#!{python}
import sys

from ansible_collections.pairbench.lab.plugins.plugin_utils.cli.main import main

sys.exit(main())
"""


def link(bin_directory: Path) -> None:
    """Link the clone into the environment that owns ``bin_directory`` and write its console script."""
    python = bin_directory.absolute() / "python"
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    purelib = Path(subprocess.check_output([python, "-c", query], text=True).strip())
    target = purelib / "ansible_collections" / "pairbench" / "lab"
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():
        target.unlink()
    target.symlink_to(Path(__file__).resolve().parent.parent)
    script = python.parent / "pairbench"
    script.write_text(CONSOLE_SCRIPT.format(python=python), encoding="utf-8")
    script.chmod(0o755)


if __name__ == "__main__":
    link(Path(sys.argv[1]))
