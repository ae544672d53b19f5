"""C files: they compile without a warning, and compute what the network computes."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnntrain.export.c import CFile, check, sample_images
from cnntrain.export.c.layers import TABLE
from cnntrain.export.c.program import Program, Step, plan
from cnntrain.layers import LAYERS
from tests.export.models import EVERY, Array, Exported, digits, of_layers, of_recipe

COMPILERS = [compiler for compiler in ("gcc", "clang") if shutil.which(compiler)]
FLAGS = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O2"]
needs_compiler = pytest.mark.skipif(not COMPILERS, reason="neither gcc nor clang is there")


def written(exported: Exported, path: Path, fold: bool = False) -> CFile:
    check(exported.model.rows)
    file = CFile.of(exported.model, fold_batch_norm=fold)
    path.write_text(file.text(exported.logits), "ascii")
    return file


def compiled(source: Path, file: CFile, compiler: str = "", *more: str) -> Path:
    target = source.with_suffix(".so" if "-shared" in more else ".out")
    link = ["-lm"] if file.libm else []
    command = [compiler or COMPILERS[0], *FLAGS, *more, str(source), "-o", str(target), *link]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr[:3000]
    return target


def answers(library: Path, images: Array, classes: int) -> tuple[Array, Array]:
    """Classes and probabilities."""
    predict = ctypes.CDLL(str(library)).predict
    predict.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    probabilities = np.full((len(images), classes), np.nan, np.float32)
    found = [
        predict(np.ascontiguousarray(image).ctypes.data, row.ctypes.data)
        for image, row in zip(images, probabilities, strict=True)
    ]
    return np.array(found), probabilities


def compare(exported: Exported, images: Array, folder: Path, fold: bool = False) -> CFile:
    file = written(exported, folder / "net.c", fold)
    library = compiled(folder / "net.c", file, "", "-shared", "-fPIC")
    found, probabilities = answers(library, images, len(exported.model.class_names))
    expected = exported.probabilities(images)
    assert np.ptp(expected, axis=0).max() > 1e-3, "the images make no difference"
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found, expected.argmax(axis=1))
    return file


def test_every_layer_is_in_the_table() -> None:
    assert set(TABLE) == set(LAYERS.values())


@needs_compiler
@pytest.mark.parametrize(("name", "number", "layer", "shape"), EVERY, ids=lambda value: str(value)[:40])
def test_layer(name: str, number: int, layer: str, shape: tuple[int, int, int], tmp_path: Path) -> None:
    exported = of_layers(layer if layer == name else f"{{{layer}}}", shape)
    compare(exported, exported.images(5), tmp_path)


SMALL = "conv2d: {filters: 3, kernel_size: 3}, relu, max_pool2d: 2"


@needs_compiler
@pytest.mark.parametrize(("image_type", "by_pixel"), [("float32", False), ("uint8", True)])
def test_normalization(image_type: str, by_pixel: bool, tmp_path: Path) -> None:
    exported = of_layers(SMALL, (2, 6, 5), image_type, by_pixel)
    compare(exported, exported.images(5), tmp_path)


@needs_compiler
def test_folded_batch_norm(tmp_path: Path) -> None:
    layers = "conv2d: {filters: 3, kernel_size: 3, bias: false}, batch_norm2d, relu, dense: 4, batch_norm2d"
    exported = of_layers(layers, (2, 6, 5))
    plain = CFile.of(exported.model)
    folded = compare(exported, exported.images(5), tmp_path, fold=True)
    assert [step.kind for step in plain.program.steps].count("batch_norm2d") == 2
    assert "batch_norm2d" not in folded.program.kinds


@needs_compiler
def test_digits(tmp_path: Path) -> None:
    """A few hundred images of MNIST."""
    exported = of_recipe("mnist-lenet5")
    compare(exported, digits(300), tmp_path)


@needs_compiler
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("layers", [SMALL, "silu, gelu, branches: [[tanh], [], [softplus]], local_response_norm"])
def test_the_self_test(compiler: str, layers: str, tmp_path: Path) -> None:
    exported = of_layers(layers, (2, 6, 5))
    names = ('"??/', "100%s\\n", "Ärger\u202e\n*/")
    exported = exported._replace(model=replace(exported.model, class_names=names))
    file = written(exported, tmp_path / "net.c")
    program = compiled(tmp_path / "net.c", file, compiler, "-DCNNTRAIN_SELF_TEST")
    result = subprocess.run([program], capture_output=True, check=False)
    assert result.returncode == 0, result.stdout
    answers = exported.logits(sample_images(exported.model, 3)).argmax(axis=1)
    for number, answer in enumerate(answers):
        assert f"image {number}: {names[answer]} (".encode() in result.stdout
    # it can fail, too
    text = (tmp_path / "net.c").read_text()
    last = max(file.program.arrays)
    shaken = re.sub(rf"({last}\[\d+\] = {{\s+)[^,]+,", r"\g<1>7.5f,", text)
    assert shaken != text
    (tmp_path / "net.c").write_text(shaken)
    program = compiled(tmp_path / "net.c", file, compiler, "-DCNNTRAIN_SELF_TEST")
    assert subprocess.run([program], capture_output=True, check=False).returncode == 1


@needs_compiler
def test_rectifiers_need_no_library(tmp_path: Path) -> None:
    """Nothing but what a compiler may put in the place of a loop."""
    exported = of_layers(SMALL, (2, 6, 5))
    file = written(exported, tmp_path / "net.c")
    assert not file.libm
    library = compiled(tmp_path / "net.c", file, "", "-shared", "-fPIC", "-nostdlib", "-fno-builtin")
    undefined = subprocess.run(["nm", "-D", "--undefined-only", library], capture_output=True, text=True, check=False)
    assert {line.split()[-1] for line in undefined.stdout.splitlines()} <= {"memcpy", "memset", "memmove"}
    assert "math.h" not in (tmp_path / "net.c").read_text()
    assert CFile.of(of_layers("tanh", (2, 3, 4)).model).libm


def test_the_weights_are_there_to_the_bit(tmp_path: Path) -> None:
    exported = of_layers(SMALL, (2, 6, 5))
    written(exported, tmp_path / "net.c")
    text = (tmp_path / "net.c").read_text()
    for name, tensor in (("l0_conv2d_weight", "0.conv2d.weight"), ("l3_dense_bias", "3.dense.bias")):
        found = re.search(rf"{name}\[\d+\] = {{([^}}]*)}}", text)
        assert found
        numbers = np.array([word.strip().rstrip("f") for word in found[1].split(",") if word.strip()], np.float32)
        np.testing.assert_array_equal(numbers, exported.model.tensors[tensor].reshape(-1))


def lifetimes(program: Program, kept: int) -> dict[int, tuple[int, int]]:
    """Slowly: for each value the steps that write it first and read it last."""
    found = {}
    for value in range(len(program.sizes)):
        writes = [n for n, step in enumerate(program.steps) if step.target == value]
        reads = [n for n, step in enumerate(program.steps) if value in step.sources] + writes
        found[value] = (min(writes), len(program.steps) if value == kept else max(reads))
    return found


@given(st.data())
def test_no_value_is_written_over_while_it_is_needed(data: st.DataObject) -> None:
    """Any network of steps: simulated, each value is what it was when it is read."""
    program = Program([data.draw(st.integers(1, 8))])
    program.steps.append(Step("normalize", "", (), 0, 0, (), "", False))
    for _ in range(data.draw(st.integers(1, 12))):
        values = st.integers(0, len(program.sizes) - 1)
        sources = data.draw(st.lists(values, min_size=1, max_size=2))
        size = data.draw(st.sampled_from([program.sizes[sources[0]], data.draw(st.integers(1, 8))]))
        program.add("f", sources, size, "", in_place=data.draw(st.booleans()))
    kept = data.draw(st.integers(0, len(program.sizes) - 1))
    arena = plan(program, kept)
    memory: list[object] = [None] * arena.size
    for step in program.steps:
        for value in step.sources:
            place = arena.places[value]
            assert memory[place : place + program.sizes[value]] == [value] * program.sizes[value]
            overlaps = place < arena.places[step.target] + program.sizes[step.target] and (
                arena.places[step.target] < place + program.sizes[value]
            )
            same = (place, program.sizes[value]) == (arena.places[step.target], program.sizes[step.target])
            assert not overlaps or (step.in_place and same)
        place = arena.places[step.target]
        memory[place : place + program.sizes[step.target]] = [step.target] * program.sizes[step.target]
    assert memory[arena.places[kept] : arena.places[kept] + program.sizes[kept]] == [kept] * program.sizes[kept]
    alive = lifetimes(program, kept).values()
    least = max(
        sum(size for size, (first, last) in zip(program.sizes, alive, strict=True) if first <= n < last)
        for n in range(len(program.steps))
    )
    assert least <= arena.size <= sum(program.sizes)


def test_a_chain_needs_two_neighbours() -> None:
    """LeNet-5: the largest is the first convolution's output beside the image or what pooling leaves of it."""
    file = CFile.of(of_recipe("mnist-lenet5").model)
    assert file.arena.size == 6 * 28 * 28 + 6 * 14 * 14


@needs_compiler
def test_not_a_number_stays_one(tmp_path: Path) -> None:
    """No function hides it, and none does what C leaves open."""
    layers = "silu, softplus: 2.0, elu, relu, max_pool2d: 2, leaky_relu, gelu: tanh, sigmoid"
    exported = of_layers(layers, (2, 6, 5), "float32")
    file = written(exported, tmp_path / "net.c")
    more = ["-shared", "-fPIC"]
    library = compiled(tmp_path / "net.c", file, "", *more)
    images = exported.images(2)
    images[1, 1, 2, 3] = np.nan
    _, probabilities = answers(library, images, 3)
    assert np.isfinite(probabilities[0]).all()
    assert np.isnan(probabilities[1]).all()


@needs_compiler
@pytest.mark.parametrize("layers", ["silu, gelu: tanh, avg_pool2d: {kernel_size: 3, padding: 1}", SMALL])
def test_no_undefined_behaviour(layers: str, tmp_path: Path) -> None:
    """The self-test under the compiler's own watch: addresses, shifts, conversions."""
    exported = of_layers(layers, (2, 6, 5))
    file = written(exported, tmp_path / "net.c")
    watch = ["-DCNNTRAIN_SELF_TEST", "-fsanitize=address,undefined,float-cast-overflow", "-fno-sanitize-recover=all"]
    try:
        program = compiled(tmp_path / "net.c", file, "", *watch)
    except AssertionError as error:
        if "asan" in str(error) or "cannot find" in str(error):
            pytest.skip("the compiler has no sanitizers")
        raise
    result = subprocess.run([program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
