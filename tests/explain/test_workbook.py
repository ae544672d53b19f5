"""Workbooks: recomputed by two other engines, they agree with the trace, also after somebody changed a number."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnntrain.errors import ArgumentError
from cnntrain.explain.example import Example, example_of
from cnntrain.explain.pictures import Wanted
from cnntrain.explain.trace import Trace
from tests.training.small import write_config, write_data

pytest.importorskip("openpyxl", reason="openpyxl, of the extra xlsx, is not installed")
import openpyxl  # type: ignore[import-untyped]

from cnntrain.explain.workbook import save_workbook
from cnntrain.explain.workbook.build import build, count
from cnntrain.explain.workbook.sheet import Book, Ref
from tests.explain.cells import Calculator

SGD = "{sgd: {learning_rate: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.01}}"


def write(folder: Path, shape: tuple[int, int, int]) -> Path:
    generator = np.random.default_rng(6)
    images = generator.integers(0, 256, (24, *shape), np.uint8)
    labels = np.arange(24) % 3
    write_data(folder, {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels})
    write_config(folder, data={"validation": 0}, network=["flatten", {"dense": "classes"}])
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("workbooks"), (6, 7, 2))


def example(folder: Path, layers: str, optimizer: str = SGD, loss: str = "cross_entropy", images: int = 1) -> Example:
    overrides = [f"network=[{layers}, dense: classes]", f"optimizer={optimizer}", f"loss={loss}"]
    wanted = Wanted(index=4, images=images)
    made = example_of(folder / "digits.yaml", from_config=True, wanted=wanted, overrides=overrides)
    generator = np.random.default_rng(7)
    for parameter in made.network.parameters:
        parameter.value += 0.1 * generator.standard_normal(parameter.value.shape)
    kept = {
        name: generator.standard_normal(value.shape) if name != "steps" else np.array([3])
        for name, value in made.optimizer.state().items()
    }
    made.optimizer.load_state(kept)
    return made


def expected(trace: Trace) -> dict[tuple[str, str], np.ndarray]:
    """Return what the kernels gave for the arrays of a workbook."""
    found: dict[tuple[str, str], np.ndarray] = {
        ("image", "normalised"): trace.images[0],
        ("loss", "loss"): np.array(trace.loss),
        ("loss", "grad_logits"): trace.grad_logits[0],
    }
    for layer in trace.walk():
        if layer.row.name == "repeat":
            continue
        assert layer.grad_input is not None
        found[layer.path, "output"] = layer.output[0]
        found[layer.path, "grad_input"] = layer.grad_input[0]
        for name, parameter in layer.parameters.items():
            found[layer.path, name] = parameter.value
            found[layer.path, f"dL/d{name}"] = parameter.gradient
            found[layer.path, f"{name} after"] = parameter.updated
            full = parameter.parameter.name
            if f"velocity/{full}" in trace.kept:
                found[full, "velocity"] = trace.kept[f"velocity/{full}"][1]
    return found


def compare(book: Book, trace: Trace, value: Any) -> int:
    compared = 0
    for key, array in expected(trace).items():
        if key in book.arrays:
            for index in np.ndindex(array.shape):
                at = book.arrays[key](index)
                np.testing.assert_allclose(
                    value(at.sheet, at.top, at.left), array[index], rtol=1e-9, atol=1e-12, err_msg=f"{key} {index}"
                )
                compared += 1
    return compared


NETWORKS = {
    "windows": "conv2d: {filters: 2, kernel_size: 3, padding: 1}, relu, max_pool2d: {kernel_size: 3, stride: 2, "
    "padding: 1}, tanh",
    "strides": "conv2d: {filters: 4, kernel_size: [3, 2], stride: [2, 3], padding: [2, 1], groups: 2, "
    "mode: convolution}, sigmoid, flatten, dropout: 0.4",
    "dilation": "conv2d: {filters: 2, kernel_size: 2, dilation: [2, 3], padding: 1, bias: false}, leaky_relu, "
    "conv2d: {filters: 1, kernel_size: 2, dilation: 2, mode: convolution}, elu, avg_pool2d: {kernel_size: 2, "
    "padding: 1, ceil_mode: true}, selu",
    "averages": "avg_pool2d: {kernel_size: 3, stride: 2, padding: 1, count_padding: false}, gelu, "
    "repeat: {times: 2, layers: [conv2d: {filters: 2, kernel_size: 1}, silu]}, softplus: 2.0, global_avg_pool2d, "
    "gelu: tanh",
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_cell_is_the_kernels_number(folder: Path, name: str) -> None:
    made = example(folder, NETWORKS[name])
    trace = made.trace()
    book = build(made, trace)
    assert book.formulas == count(trace)
    assert compare(book, trace, Calculator(book.workbook).value) > 200


OPTIMIZERS = [
    "{sgd: 0.05}",
    "{sgd: {learning_rate: 0.1, momentum: 0.5, form: caffe, l1_decay: 0.02}}",
    "{sgd: {learning_rate: 0.1, momentum: 0.5, nesterov: true, form: caffe, clip_norm: 0.1}}",
    "{sgd: {learning_rate: 0.1, momentum: 0.5, weight_decay: 0.1, clip_value: 0.05}}",
]
LOSSES = ["mse", "{cross_entropy: {label_smoothing: 0.1}}", "{cross_entropy: {class_weights: [1, 2.5, 3]}}"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_steps_and_losses(folder: Path, optimizer: str, loss: str) -> None:
    layers = (
        "global_avg_pool2d, dense: {units: 3, weight_decay: 0.5, bias_learning_rate: 2.0}, "
        "dense: {units: 2, frozen: true}"
    )
    made = example(folder, layers, optimizer, loss)
    trace = made.trace()
    book = build(made, trace)
    assert book.formulas == count(trace)
    assert compare(book, trace, Calculator(book.workbook).value) > 100


def test_another_engine_agrees_also_after_a_pixel_and_a_weight_changed(tmp_path: Path) -> None:
    formulas = pytest.importorskip("formulas", reason="formulas, of the extra test, is not installed")
    layers = "conv2d: {filters: 1, kernel_size: 2}, tanh, max_pool2d: {kernel_size: 2, stride: 1}"
    made = example(write(tmp_path, (4, 3, 1)), layers, "{sgd: 0.1}")
    trace = made.trace()
    book = build(made, trace)
    assert save_workbook(tmp_path / "step.xlsx", made, trace) == book.formulas
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the engine's own
        model = formulas.ExcelModel().loads(str(tmp_path / "step.xlsx")).finish()

        def key(at: Ref) -> str:
            return f"'[step.xlsx]{at.sheet.upper()}'!{at.seen_from(at.sheet)}"

        def value_in(solution: Any) -> Any:
            return lambda sheet, row, column: solution[key(Ref(sheet, row, column, row, column))].value[0, 0]

        assert compare(book, trace, value_in(model.calculate())) > 90
        stored = made.stored.copy()
        stored[0, 0, 2, 1] = 255 - stored[0, 0, 2, 1]
        weight = made.network.parameters[0]
        assert weight.name == "0.conv2d.weight"
        weight.value[0, 0, 1, 0] = 0.75
        changed = replace(made, images=np.ascontiguousarray(made.normalization.apply(stored, np.float64)))
        again = changed.trace()
        assert abs(again.loss - trace.loss) > 1e-3
        pixel, tap = book.arrays["image", "stored"]((0, 2, 1)), book.arrays["0.conv2d", "weight"]((0, 0, 1, 0))
        inputs = {key(pixel): int(stored[0, 0, 2, 1]), key(tap): 0.75}
        assert compare(book, again, value_in(model.calculate(inputs=inputs))) > 90


def test_the_file_is_read_as_it_was_built(folder: Path, tmp_path: Path) -> None:
    made = example(folder, NETWORKS["windows"])
    trace = made.trace()
    save_workbook(tmp_path / "step.xlsx", made, trace)
    read = openpyxl.load_workbook(tmp_path / "step.xlsx")
    layers = ["0.conv2d", "1.relu", "2.max_pool2d", "3.tanh", "4.dense"]
    assert read.sheetnames == ["Read me", "Image", *layers, "Loss", "Step"]
    assert compare(build(made, trace), trace, Calculator(read).value) > 200
    assert all(sheet.freeze_panes == "A3" for sheet in read)


def test_names_of_strangers_are_no_formulas(folder: Path) -> None:
    made = example(folder, "flatten")
    hostile = replace(made, class_names=("=1+1", "\x1b[31m", "@x"), title='=HYPERLINK("http://x")')
    book = build(hostile, made.trace())
    cells = [cell for sheet in book.workbook for row in sheet for cell in row if cell.data_type == "f"]
    assert not any("HYPERLINK" in cell.value or cell.value == "=1+1" for cell in cells)
    assert len(cells) == book.formulas


def test_what_is_refused(folder: Path, tmp_path: Path) -> None:
    def refuses(text: str, *arguments: Any, path: str = "step.xlsx", **more: Any) -> None:
        made = example(folder, *arguments, **more)
        with pytest.raises(ArgumentError, match=text):
            save_workbook(tmp_path / path, made, made.trace())

    refuses("no formulas for the layer 0.batch_norm2d; they are there for conv2d, dense", "batch_norm2d")
    refuses("the layer 0.residual", "residual: [tanh]")
    refuses("the optimiser adam ", "tanh", "{adam: 0.1}")
    refuses("the loss hinge: ", "tanh", loss="hinge")
    refuses("a workbook is about one image", "tanh", images=2)
    refuses(r"0.max_pool2d \(a window of 64 pixels", "max_pool2d: {kernel_size: 8, padding: 4}")
    refuses(r"would have 8[0-9]{2},[0-9]{3} cells with formulas, at most 60,000", "dense: 1000, dense: 200")
    refuses("must end in .xlsx", "tanh", path="step.xls")
    refuses("cannot be written: No such file", "tanh", path="nowhere/step.xlsx")


def test_without_the_package_the_extra_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = example(folder, "tanh")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ArgumentError, match=r"needs the package openpyxl: pip install 'cnntrain\[xlsx\]'"):
        save_workbook(tmp_path / "step.xlsx", made, made.trace())
