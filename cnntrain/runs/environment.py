"""environment.json: where a run was made; speed and bits depend on it."""

from __future__ import annotations

import json
import os
import platform
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from llvmlite import binding

import cnntrain
from cnntrain.runs.atomic import write_atomically

PACKAGES = ("numba", "llvmlite", "numpy", "safetensors", "pydantic")


def describe_environment(threads: int, threading_layer: str) -> dict[str, Any]:
    """Return versions, processor and threads of this process, ready for JSON."""
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cnntrain": cnntrain.__version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": _processor(),
        "instruction_set": binding.get_host_cpu_name(),
        "cores": os.cpu_count(),
        "threads": threads,
        "threading_layer": threading_layer,
    }


def record_environment(path: Path, environment: dict[str, Any]) -> None:
    """Add this process to the list of those that trained in a run folder; raises `RunFolderError`."""
    earlier: list[Any] = []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        earlier = content["processes"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # the first process, or a damaged note: not worth refusing to train for
    text = json.dumps({"processes": [*earlier, environment]}, indent=2)
    write_atomically(path, (text + "\n").encode())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
