"""A Python environment for each peer, made once, in a cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.comparison.contestants import Contestant

DONE = ".complete"


class UnavailableError(Exception):
    """A peer cannot take part; the message says why."""


def default_folder() -> Path:
    """Where environments are kept unless the user says otherwise: in the cache folder that cnntrain uses."""
    if own := os.environ.get("CNNTRAIN_CACHE_DIR"):
        return Path(own) / "peers"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cnntrain" / "peers"


def folder_of(name: str, contestant: Contestant, environments: Path) -> Path:
    """Return the folder of a peer's environment: another one for other releases or another Python."""
    key = repr((contestant.attempts, sys.version_info[:2], sys.prefix if not contestant.attempts else ""))
    return environments / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def python_of(folder: Path) -> Path:
    """Return the interpreter of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def ready(name: str, contestant: Contestant, environments: Path) -> Path:
    """Return the interpreter of a peer's environment; make that first if it is not there.

    Raises
    ------
    UnavailableError
        It cannot be made or its packages cannot be installed.
    """
    folder = folder_of(name, contestant, environments)
    if (folder / DONE).exists():
        return python_of(folder)
    print(f"making an environment for {contestant.title} in {folder}", file=sys.stderr)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)  # a half-made one
        _run([sys.executable, "-m", "venv", str(folder)])
        _install(python_of(folder), contestant.attempts)
        (folder / DONE).write_text("\n".join(" ".join(attempt) for attempt in contestant.attempts), encoding="utf-8")
    except OSError as error:
        raise UnavailableError(f"no environment: {error}") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return python_of(folder)


def check(python: str, contestant: Contestant) -> None:
    """Raise `UnavailableError` if a Python that the user named does not have what the peer needs."""
    try:
        _run([python, "-c", f"import numpy, {contestant.imports}"])
    except (OSError, UnavailableError) as error:
        raise UnavailableError(f"{python} cannot import numpy and {contestant.imports}: {error}") from error


def _install(python: Path, attempts: Sequence[Sequence[str]]) -> None:
    reasons = []
    for attempt in attempts:
        reason = _failure([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *attempt])
        if reason is None:
            return
        reasons.append(f"pip install {' '.join(attempt)}: {reason}")
    raise UnavailableError("; ".join(reasons))


def _run(command: Sequence[str]) -> None:
    reason = _failure(command)
    if reason is not None:
        raise UnavailableError(reason)


def _failure(command: Sequence[str]) -> str | None:
    """Run a command; return its last word about an error if it fails."""
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if not found.returncode:
        return None
    lines = (found.stderr.strip() or found.stdout.strip()).splitlines()
    errors = [line for line in lines if "error" in line.lower()] or lines or ["it gave no reason"]
    return errors[-1].strip()
