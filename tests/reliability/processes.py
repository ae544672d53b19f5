"""Trainings in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPO = Path(__file__).parents[2]
FOREVER = ("--set", "train.epochs=1000000")


AS_IN_A_TERMINAL = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)
"""  # whoever runs the tests may ignore signals, as a shell does for what it starts in the background


def command(*arguments: str | Path, first: str = "") -> list[str]:
    """Return the command `cnntrain`; `first` is Python code that runs before it, in the same process."""
    program = f"{AS_IN_A_TERMINAL}{first}\nfrom cnntrain.__main__ import run\nrun()"
    return [sys.executable, "-c", program, *map(str, arguments)]


def start(*arguments: str | Path, first: str = "", cwd: Path | None = None, **options: Any) -> subprocess.Popen[str]:
    """Start `cnntrain` with these arguments."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | options
    environment = {**os.environ, "PYTHONPATH": str(REPO), "NUMBA_NUM_THREADS": "1"}
    return subprocess.Popen(command(*arguments, first=first), text=True, cwd=cwd, env=environment, **streams)


def run(*arguments: str | Path, **options: Any) -> tuple[int, str, str]:
    """Return exit code, stdout and stderr."""
    process = start(*arguments, **options)
    try:
        output, messages = process.communicate(timeout=300)
    finally:
        end(process)
    return process.returncode, output, messages


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 300) -> None:
    """Wait until a condition holds, or fail when the process ends before."""
    limit = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the process ended by itself"
        assert time.monotonic() < limit, "took too long"
        time.sleep(0.005)


def has_line(path: Path, text: str) -> Callable[[], bool]:
    """Return a condition: the file has this text."""
    return lambda: path.exists() and text in path.read_text()


def end(process: subprocess.Popen[str]) -> None:
    """See to it that a process is gone."""
    process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
