"""environment.json: where a run was made; speed and bits depend on it."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from llvmlite import binding

import cnntrain
from cnntrain.runs.disk import write_atomically

PACKAGES = ("numba", "llvmlite", "numpy", "safetensors", "pydantic")


def describe_environment(threads: int, threading_layer: str, processes: Sequence[str] = ()) -> dict[str, Any]:
    """Return versions, processor and threads of this process, ready for JSON; `processes` are those of a team."""
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cnntrain": cnntrain.__version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": processor(),
        "instruction_set": binding.get_host_cpu_name(),
        "cores": os.cpu_count(),
        "threads": threads,
        "threading_layer": threading_layer,
        **({"team": list(processes)} if len(processes) > 1 else {}),
    }


def computing_with() -> dict[str, str]:
    """Return what bits depend on beside a config and its data: versions and the kind of processor."""
    return {
        "cnntrain": cnntrain.__version__,
        **{name: _version(name) for name in PACKAGES},
        "processor's instruction set": os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name(),
    }


def record_environment(path: Path, environment: dict[str, Any]) -> None:
    """Add this process to the list of those that trained in a run folder; raises `RunFolderError`.

    A file that is no such list is put aside, as `environment.json.damaged`: not worth refusing to train for.
    """
    try:
        text = _listed([*_processes(path), environment])
    except (OSError, ValueError, RecursionError):
        text = _listed([environment])
        with contextlib.suppress(OSError):
            path.replace(path.with_name(f"{path.name}.damaged"))
    write_atomically(path, text.encode())


def _listed(processes: list[Any]) -> str:
    return json.dumps({"processes": processes}, indent=2) + "\n"


def _processes(path: Path) -> list[Any]:
    if not path.exists():
        return []
    content = json.loads(path.read_text(encoding="utf-8"))
    processes = content.get("processes") if isinstance(content, dict) else None
    if not isinstance(processes, list):
        raise ValueError("no list of processes")
    return processes


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def processor() -> str:
    """Return what the processor calls itself."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
