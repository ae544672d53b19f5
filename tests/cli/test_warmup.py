"""In processes of their own: what is compiled here must not be there already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).parents[2]
CONFIG = """
data: {source: mnist, path: nowhere}
network: [flatten, {dense: classes}]
loss: cross_entropy
optimizer: {sgd: {learning_rate: 0.1}}
train: {batch_size: 16}
"""


def warmup(config: Path, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cnntrain", "warmup", "--config", str(config), *arguments],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def test_a_second_time_nothing_is_compiled(tmp_path: Path) -> None:
    config, cache = tmp_path / "dense.yaml", tmp_path / "cache"
    config.write_text(CONFIG)
    first = warmup(config, cache, "--json")
    assert first.returncode == 0, first.stderr
    found = json.loads(first.stdout)
    assert {"to_lanes", "multiply", "by_positions", "cross_entropy", "sgd"} <= set(found["compiled"])
    assert found["loaded"] == []
    assert Path(found["folder"]).parent == cache
    begins = f"compiling kernels for this machine (once; kept in {found['folder']})\n  to_lanes (1 of "
    assert f"{begins}{len(found['compiled'])}" in first.stderr

    again = warmup(config, cache)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith(f"compiled 0 kernels, found {len(set(found['compiled']))} compiled, in ")
    assert again.stdout.endswith(f" s: {found['folder']}\n")
    assert again.stderr == ""
