"""Environment variables that kernels cannot run with: one line that names the variable, and exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cnntrain.errors import EnvironmentVariableError
from cnntrain.kernels.compiler import environment
from cnntrain.kernels.compiler.threads import set_threads, threading_layer, threading_layer_warning
from tests.training.small import write_config

RECIPE = Path(__file__).parents[3] / "configs" / "mnist-lenet5.yaml"
VARIABLES = (*environment._RULES, "NUMBA_CPU_NAME", "NUMBA_CACHE_DIR")


@pytest.fixture(autouse=True)
def _none_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "value", "answer"),
    [
        ("NUMBA_NUM_THREADS", "0", "must be a whole number from 1 to "),
        ("NUMBA_NUM_THREADS", "-1", "must be a whole number from 1 to "),
        ("NUMBA_NUM_THREADS", "abc", "must be a whole number from 1 to "),
        ("NUMBA_NUM_THREADS", "2.5", "must be a whole number from 1 to "),
        ("NUMBA_NUM_THREADS", "", "must be a whole number from 1 to "),
        ("NUMBA_NUM_THREADS", "100000", "must be a whole number from 1 to "),
        ("NUMBA_DISABLE_JIT", "1", "kernels exist as machine code only; unset it"),
        ("NUMBA_DISABLE_JIT", "yes", "kernels exist as machine code only; unset it"),
        ("NUMBA_OPT", "9", "must be 0, 1, 2, 3 or max"),
        ("NUMBA_THREADING_LAYER", "bogus", "must be one of default, tbb, omp, workqueue, "),
        ("NUMBA_THREADING_LAYER", "", "must be one of default, tbb, omp, workqueue, "),
        ("NUMBA_THREADING_LAYER_PRIORITY", "omp", "must name all of tbb, omp, workqueue"),
        ("NUMBA_CPU_FEATURES", "+avx2,fma", 'each feature begins with + or -, as in "+avx2,-avx512f"; "fma" does not'),
    ],
)
def test_what_a_variable_may_not_be(name: str, value: str, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(EnvironmentVariableError) as raised:
        environment.check_variables()
    assert str(raised.value).startswith(f"{name}={value}: {answer}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NUMBA_NUM_THREADS", "1"),
        ("NUMBA_NUM_THREADS", "3"),
        ("NUMBA_DISABLE_JIT", "0"),
        ("NUMBA_OPT", "max"),
        ("NUMBA_THREADING_LAYER", "OMP"),
        ("NUMBA_THREADING_LAYER", "workqueue"),
        ("NUMBA_THREADING_LAYER_PRIORITY", "omp workqueue tbb"),
        ("NUMBA_CPU_FEATURES", "+avx,+fma,-avx512f"),
        ("NUMBA_CPU_FEATURES", ""),
        ("NUMBA_CPU_NAME", "haswell"),
        ("NUMBA_CPU_NAME", "generic"),
    ],
)
def test_what_a_variable_may_be(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if (name, value) != ("NUMBA_THREADING_LAYER", "OMP"):
        monkeypatch.setenv(name, value)
    environment.check_variables()
    environment.check_machine()


@pytest.mark.parametrize(
    ("name", "value", "answer"),
    [
        ("NUMBA_CPU_NAME", "bogus", "LLVM knows no 'bogus'; unset it"),
        ("NUMBA_CPU_FEATURES", "+avx,+bogus", "LLVM knows no '+bogus'; unset it"),
    ],
)
def test_no_such_processor(
    name: str, value: str, answer: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(EnvironmentVariableError) as raised:
        environment.check_machine()
    assert str(raised.value).startswith(f"{name}={value}: {answer}")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("layer", "there", "missing"),
    [("tbb", {"omp"}, "TBB"), ("safe", {"omp"}, "TBB"), ("omp", set(), "OpenMP"), ("ThreadSafe", set(), "TBB")],
)
def test_threads_that_are_not_installed(
    layer: str, there: set[str], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "_installed", there.__contains__)
    monkeypatch.setenv("NUMBA_THREADING_LAYER", layer)
    with pytest.raises(EnvironmentVariableError, match=f"^NUMBA_THREADING_LAYER={layer}: not found; install {missing}"):
        environment.check_machine()


@pytest.mark.parametrize(("layer", "there"), [("threadsafe", {"omp"}), ("forksafe", set()), ("tbb", {"tbb"})])
def test_threads_that_are_installed(layer: str, there: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_installed", there.__contains__)
    monkeypatch.setenv("NUMBA_THREADING_LAYER", layer)
    environment.check_machine()


def test_what_is_installed() -> None:
    """Numba takes TBB if it is installed, else OpenMP."""
    set_threads(1)
    layer = threading_layer()
    assert environment._installed("tbb") == (layer == "tbb")
    assert environment._installed("omp") == (layer == "omp") or layer == "tbb"


@pytest.mark.parametrize(("where", "what"), [("", "is no folder"), ("below", "cannot be made")])
def test_a_folder_that_is_a_file(tmp_path: Path, where: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / where
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(path))
    with pytest.raises(EnvironmentVariableError, match=f"^NUMBA_CACHE_DIR={path}: {what} .*; set it to a folder"):
        environment.check_machine()


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o555)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    with pytest.raises(EnvironmentVariableError, match=f"^NUMBA_CACHE_DIR={tmp_path}: cannot be written"):
        environment.check_machine()


def test_a_folder_that_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "new" / "folder"))
    environment.check_machine()
    assert (tmp_path / "new" / "folder").is_dir()


def cnntrain(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cnntrain", *arguments],
        capture_output=True, text=True, env={**os.environ, **variables}, check=False, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize("command", ["train", "reproduce", "eval", "gradcheck", "bench", "warmup"])
def test_every_command_that_needs_kernels_says_it(command: str, tmp_path: Path) -> None:
    positional = {"reproduce": RECIPE, "eval": tmp_path}
    what = (positional[command],) if command in positional else ("--config", write_config(tmp_path))
    result = cnntrain(command, *what, NUMBA_NUM_THREADS="abc")
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("NUMBA_NUM_THREADS=abc: must be a whole number from 1 to ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NUMBA_NUM_THREADS", "0"),
        ("NUMBA_DISABLE_JIT", "1"),
        ("NUMBA_THREADING_LAYER", "bogus"),
        ("NUMBA_CPU_NAME", "bogus"),
        ("NUMBA_CACHE_DIR", __file__),
        ("NUMBA_CACHE_LOCATOR_CLASSES", "Bogus"),
    ],
)
def test_one_line_and_exit_code_2(name: str, value: str, tmp_path: Path) -> None:
    result = cnntrain("train", "--config", write_config(tmp_path), "--out", tmp_path / "run", **{name: value})
    assert (result.returncode, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"{name}={value}: ")
    assert "unset it" in line
    assert not (tmp_path / "run").exists()


def test_imports_for_python_say_it_too() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from cnntrain import functional"],
        capture_output=True, text=True, env={**os.environ, "NUMBA_NUM_THREADS": "0"}, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith(
        "cnntrain.errors.EnvironmentVariableError: NUMBA_NUM_THREADS=0: must be a whole number from 1 to "
    )


def test_why_threads_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    def warning() -> str:
        return str(threading_layer_warning("workqueue"))

    assert warning().startswith("Numba found neither OpenMP nor TBB")
    monkeypatch.setenv("NUMBA_THREADING_LAYER_PRIORITY", "omp workqueue tbb")
    assert warning().startswith("Numba found neither OpenMP nor TBB")
    monkeypatch.setenv("NUMBA_THREADING_LAYER_PRIORITY", "tbb workqueue omp")
    assert "that NUMBA_THREADING_LAYER_PRIORITY=tbb workqueue omp chose are slow" in warning()
    monkeypatch.setenv("NUMBA_THREADING_LAYER", "Workqueue")
    assert "that NUMBA_THREADING_LAYER=Workqueue chose are slow" in warning()
    assert "found neither" not in warning()
    assert threading_layer_warning("omp") is None
