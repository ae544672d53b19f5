"""Whether a network fits: what is said beforehand is what is written."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from cnntrain.cli import main
from cnntrain.config import infer_shapes, parse_config
from cnntrain.errors import ArgumentError, ExportError
from cnntrain.export.c import CFile
from cnntrain.export.c.budget import CODE, Fit, Footprint, footprint_of, parse_target
from cnntrain.export.c.functions import PARTS
from cnntrain.shape import Shape
from tests.export.models import ROOT, of_layers, of_recipe


@pytest.mark.parametrize("name", ["mnist-lenet5", "resnet20", "caffe-cifar10-quick"])
def test_weights_and_arena_are_those_of_the_file(name: str) -> None:
    exported = of_recipe(name)
    by_pixel = exported.model.normalization.affine()[1].ndim == 3
    assert footprint_of(name, exported.model.rows, by_pixel) == Footprint.of(CFile.of(exported.model))


def test_lenet_by_hand() -> None:
    """61,706 weights; 2 numbers of normalisation; a struct of 15 ints per convolution, of 13 per pooling."""
    found = footprint_of("lenet", of_recipe("mnist-lenet5").model.rows, False)
    assert found.constants == 4 * (61_706 + 2 + 2 * 15 + 2 * 13)
    assert found.arena == 4 * (6 * 28 * 28 + 6 * 14 * 14)
    assert found.given == 28 * 28 + 4 * 10
    assert found.names == 10 * (1 + 1 + 4)


def test_every_function_has_a_size() -> None:
    assert set(CODE) == {name for name, part in PARTS.items() if "static " in part.text}


@pytest.mark.skipif(not shutil.which("gcc") or not shutil.which("size"), reason="gcc or size is not there")
def test_the_estimate_of_the_code(tmp_path: Path) -> None:
    layers = "conv2d: {filters: 3, kernel_size: 3}, relu, max_pool2d: 2, dense: 9, tanh"
    exported = of_layers(layers, (2, 8, 8))
    file = CFile.of(exported.model)
    (tmp_path / "net.c").write_text(file.text(exported.logits))
    subprocess.run(["gcc", "-std=c99", "-Os", "-c", "net.c"], cwd=tmp_path, check=True)
    sizes = subprocess.run(["size", "-A", "net.o"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    text = next(int(line.split()[1]) for line in sizes.splitlines() if line.startswith(".text"))
    assert 0.7 * text < Footprint.of(file).code < 2 * text  # compilers put what is called once where it is called


@pytest.mark.parametrize(
    ("text", "memory"),
    [
        ("flash=256K,ram=32K", {"flash": 262_144, "ram": 32_768}),
        ("ram=20000", {"ram": 20_000}),
        (" Flash=1MB , RAM=64kb", {"flash": 1_048_576, "ram": 65_536}),
    ],
)
def test_targets(text: str, memory: dict[str, int]) -> None:
    assert parse_target(text) == memory


@pytest.mark.parametrize(
    "text", ["", "256K", "flash=", "flash=-1", "flash=1G", "rom=1K", "ram=1K,ram=2K", "ram=1.5K", "ram=١K"]
)
def test_wrong_targets(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"must be like flash=256K,ram=32K; received"):
        parse_target(text)


def test_check_says_whether_it_fits() -> None:
    def check(target: str, *more: str) -> tuple[int, str, str]:
        words = [
            "check",
            "--config",
            str(ROOT / "configs" / "mnist-lenet5.yaml"),
            "--image",
            "1x28x28",
            "--classes",
            "10",
        ]
        result = CliRunner().invoke(main, [*words, "--target", target, *more])
        return result.exit_code, result.stdout, result.stderr

    code, text, _ = check("flash=256K,ram=32K")
    assert code == 0
    flash, ram = text.splitlines()[-2:]
    assert flash.startswith("flash      248,9")
    assert "bytes of 262,144: fits (constants 247,056, class names 60, code about 1," in flash
    assert "(estimated) and libm)" in flash
    assert ram.startswith("ram         24,344 bytes of 32,768: fits (arena 23,520, image and probabilities 824; ")
    code, text, _ = check("flash=256K,ram=16K")
    assert code == 1
    assert "24,344 bytes of 16,384: does NOT fit" in text
    code, text, _ = check("ram=24344", "--json")
    assert code == 0
    assert '"fits": true' in text
    assert '"ram": 24344' in text
    assert check("ram=24343", "--json")[0] == 1
    code, text, error = check("rom=3")
    assert (code, text) == (2, "")
    assert 'must be like flash=256K,ram=32K; received "rom=3"' in error


def test_a_network_that_is_too_large_for_any_plan() -> None:
    text = "data: {source: mnist, path: x}\noptimizer: {sgd: 0.1}\nnetwork: [dense: 1000000, dense: classes]"
    rows = infer_shapes(parse_config(text, "big.yaml"), Shape(1, 28, 28), 10)
    with pytest.raises(ExportError, match="the network has 795,000,010 weights"):
        footprint_of("big", rows, False)


def test_only_what_was_asked_for_must_fit() -> None:
    found = footprint_of("lenet", of_recipe("mnist-lenet5").model.rows, False)
    assert Fit(found, {"flash": 10**6}).fits
    assert not Fit(found, {"flash": 1}).fits


def test_no_compiler_is_needed() -> None:
    from tests.test_imports import COMPILER, CONFIG, cnntrain

    text, imported = cnntrain("check", "--config", CONFIG, "--target", "flash=256K,ram=32K")
    assert "as a C file:" in text
    assert imported & COMPILER == set()
