from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import compare
from benchmarks.comparison.contestants import ISAS, PEERS, environment
from benchmarks.networks import NETWORKS, ROOT, plan
from benchmarks.peers.layers import LAYERS

ALL = list(PEERS)


def test_peers_are_chosen_by_name_in_their_usual_order() -> None:
    assert compare.chosen("jax, torch", ALL) == ["torch", "jax"]


@pytest.mark.parametrize("text", ["pytorch", "torch,flax", ",", ""])
def test_unknown_peers_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="choose from torch, jax, tensorflow, onnxruntime"):
        compare.chosen(text, ALL)


def test_cases_are_the_networks_and_then_other_batches_of_one() -> None:
    cases = compare.cases_of(["lenet5", "mlp"], [1, 64, 128], "lenet5")
    assert cases == [("lenet5", 64), ("mlp", 128), ("lenet5", 1), ("lenet5", 128)]


def test_batches_are_swept_unless_networks_are_named() -> None:
    assert compare.parse([]).batches == [1, 4, 16, 64, 256, 1024]
    assert compare.parse(["--networks", "mlp"]).batches == []
    assert compare.parse(["--networks", "mlp", "--batches", "8,2"]).batches == [2, 8]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--peers", "caffe"], "'caffe': choose from torch, jax"),
        (["--networks", "lenet"], "'lenet': choose from lenet5"),
        (["--threads", "two"], "not understood"),
        (["--threads", "0"], "not understood"),
        (["--threads", "1000"], "--threads 1000: there are"),
        (["--batches", "-1"], "not understood"),
        (["--batches-of", "lenet"], "invalid choice"),
        (["--rounds", "0"], "--rounds and --seconds must be positive"),
        (["--isa", "sse2"], "invalid choice"),
        (["--python", "flax=python3"], "'flax': choose from"),
        (["--python", "python3"], "not understood"),
        (["--write", "no/such/page.md"], "No such file"),
        (["--write", str(ROOT / "README.md")], "must contain once"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        compare.parse(arguments)
    assert raised.value.code == 2
    assert message in capsys.readouterr().err


def test_paths_of_this_machine_are_not_shown_in_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--peers", "jax", "--python", "jax=/home/me/python", "--environments=/tmp/x", "--rounds", "3"]
    monkeypatch.setattr(sys, "argv", ["compare.py", *arguments])
    assert compare.shown_arguments() == ["--peers", "jax", "--rounds", "3"]


def test_processes_are_told_threads_and_instructions_and_inherit_neither() -> None:
    found = environment(2, "avx2", {"HOME": "/home/me", "OMP_NUM_THREADS": "7", "KMP_BLOCKTIME": "0"})
    assert found["HOME"] == "/home/me"
    assert (found["OMP_NUM_THREADS"], found["NUMBA_NUM_THREADS"], found["NPROC"]) == ("2", "2", "2")
    assert "KMP_BLOCKTIME" not in found
    assert found["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert "avx512" not in found["NUMBA_CPU_FEATURES"]
    native = environment(1, "native", {"NUMBA_CPU_NAME": "generic", "ATEN_CPU_CAPABILITY": "default"})
    assert not set(native) & set(ISAS["avx2"])


def names(layers: list[dict[str, Any]]) -> set[str]:
    inside = [names(part) for layer in layers for part in layer.get("parts", ())]
    return {layer["name"] for layer in layers}.union(*inside)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_has_one_description_that_all_peers_can_read(name: str) -> None:
    found = plan(name, 3)
    assert json.loads(json.dumps(found)) == found
    assert found["batch_size"] == 3
    assert names(found["layers"]) <= set(LAYERS)
    assert (found["optimizer"]["form"], found["optimizer"]["clip_norm"]) == ("pytorch", None)


def test_the_networks_are_those_of_the_table() -> None:
    assert len(NETWORKS) == 11
    assert plan("alexnet")["parameters"] == 11_778_056
    eight, sixteen = (plan(name)["layers"][2]["groups"] for name in ("groups8", "groups16"))
    assert (eight, sixteen) == (8, 16)


def test_a_python_without_the_peer_is_said_and_left_out(tmp_path: Path) -> None:
    command = [sys.executable, "benchmarks/compare.py", "--peers", "jax", "--python", f"jax={tmp_path}/python"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert found.returncode == 2
    assert f"JAX is left out: {tmp_path}/python cannot import numpy and jax" in found.stderr
    assert found.stderr.endswith("no peer is left to compare with\n")
    assert found.stdout == ""


def test_without_onnx_there_is_nothing_for_onnx_runtime(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    found, missing = compare.interpreters(compare.parse(["--peers", "onnxruntime"]))
    assert (found, list(missing)) == ({}, ["onnxruntime"])
    assert "needs the package onnx (pip install cnntrain[onnx])" in capsys.readouterr().err


def test_a_whole_comparison(tmp_path: Path) -> None:
    """With the one peer that is among what the tests need anyway; it evaluates only."""
    pytest.importorskip("onnx", reason="needs onnx")
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    page = tmp_path / "page.md"
    page.write_text("<!-- compare.py native: begin -->\n<!-- compare.py native: end -->\n")
    command = [
        sys.executable, "benchmarks/compare.py", "--peers", "onnxruntime", "--python", f"onnxruntime={sys.executable}",
        "--networks", "lenet5", "--threads", "1", "--rounds", "2", "--seconds", "0.02", "--json", "--write", str(page),
    ]  # fmt: skip
    found = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "CNNTRAIN_CACHE_DIR": str(tmp_path)},
    )
    assert found.returncode == 0, found.stderr
    (result,) = json.loads(found.stdout)["results"]
    assert (result["network"], result["differ"], result["left_out"]) == ("lenet5", [], {})
    ours, theirs = (result["evaluation"]["images_per_second"][name] for name in ("cnntrain", "onnxruntime"))
    assert len(ours) == len(theirs) == 2
    assert min(*ours, *theirs) > 0
    assert set(result["training"]["images_per_second"]) == {"cnntrain"}
    assert result["contestants"]["onnxruntime"]["threads"] == 1
    assert 10e6 < result["peak_memory"]["cnntrain"] < 1e9
    assert "| LeNet-5 | 64 | 1 |" in page.read_text()
