"""What it would take to ship compiled kernels: size, time to build, time to the first update, and speed.

For each profile of processors, kernels of the configs are compiled into an empty folder, as a wheel would hold them.
Then a training starts with them, and `cnntrain bench` compares them with kernels for exactly this processor. Profiles
that this processor cannot run are built, not run. NEON needs an ARM machine: Numba compiles for the kind it runs on.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from llvmlite import binding

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script: the repository is the import root

from benchmarks.start_up import start

V3 = ["avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2"]
V4 = [*V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"]
PROFILES = {"x86-64-v3": V3, "x86-64-v4": V4}
COMMAND = [sys.executable, "-m", "cnntrain"]


def built(configs: list[str], environment: dict[str, str]) -> tuple[int, float]:
    """Compile what the configs need; return how many kernels and the seconds."""
    begin, number = time.perf_counter(), 0
    for config in configs:
        finished = subprocess.run(
            [*COMMAND, "warmup", config, "--json"], env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
        number += len(json.loads(finished.stdout)["compiled"])
    return number, time.perf_counter() - begin


def sizes(folder: Path) -> tuple[float, float]:
    """Return the megabytes of the files in a folder, as they are and in a zip archive, which a wheel is."""
    files = [path for path in folder.rglob("*.nb?") if path.is_file()]
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in files:
                archive.write(path, path.relative_to(folder))
        return sum(path.stat().st_size for path in files) / 1e6, file.tell() / 1e6


def rate(config: str, environment: dict[str, str]) -> float:
    """Return images per second of training on one thread."""
    command = [*COMMAND, "bench", config, "--threads", "1", "--seconds", "2", "--json"]
    finished = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    run: dict[str, dict[str, float]] = json.loads(finished.stdout)["runs"][0]
    return run["training_images_per_second"]["median"]


def first_update(config: str, environment: dict[str, str]) -> float:
    """Return the median of three starts, in seconds to the first update."""
    return statistics.median(start(config, environment["NUMBA_CACHE_DIR"], environment)[0] for _ in range(3))


def main() -> None:
    """Parse the command line, build, measure, print."""
    parser = argparse.ArgumentParser(description="Sizes and times of kernels compiled for profiles of processors.")
    parser.add_argument("configs", nargs="*", default=["configs/mnist-lenet5.yaml"], metavar="CONFIG")
    configs = parser.parse_args().configs
    features = binding.get_host_cpu_features()
    with tempfile.TemporaryDirectory() as own:
        native = {**os.environ, "NUMBA_CACHE_DIR": own}
        number, seconds = built(configs, native)
        print(f"this processor: {number} kernels in {seconds:.0f} s, {sizes(Path(own))[0]:.1f} MB")
        for profile, needed in PROFILES.items():
            with tempfile.TemporaryDirectory() as folder:
                listed = ",".join(f"+{feature}" for feature in needed)
                chosen = {"NUMBA_CPU_NAME": profile, "NUMBA_CPU_FEATURES": listed, "NUMBA_CACHE_DIR": folder}
                environment = {**os.environ, **chosen}
                number, seconds = built(configs, environment)
                raw, packed = sizes(Path(folder))
                print(f"{profile}: {number} kernels in {seconds:.0f} s, {raw:.1f} MB, {packed:.1f} MB in a wheel")
                if all(features.get(feature) for feature in needed):
                    print(f"  first update after {first_update(configs[0], environment):.2f} s")
                    ratios = [rate(configs[0], environment) / rate(configs[0], native) for _ in range(3)]
                    print(f"  images/s against kernels for this processor: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
