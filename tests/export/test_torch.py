"""State dicts for PyTorch, without PyTorch: names, bits, and the text of the module."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from cnntrain.config import infer_shapes
from cnntrain.errors import CheckpointError
from cnntrain.export.torch import check, safetensors_bytes, sequential, torch_files
from cnntrain.export.torch.convert import StateDict, our_tensors, read_state_dict
from cnntrain.export.torch.modules import TABLE
from cnntrain.layers import LAYERS
from cnntrain.runs.checkpoint import Metadata, NormalizationValues
from cnntrain.runs.progress import Metrics, Progress
from tests.export.models import EVERY, ROOT, Array, Exported, of_layers, of_recipe

METRICS = Metrics(train_loss=1.0, train_accuracy=0.5)


def metadata(exported: Exported) -> Metadata:
    model, channels = exported.model, exported.model.input_shape.channels
    return Metadata(
        config="name: x", class_names=tuple(model.class_names), input_shape=(channels, *model.input_shape[1:]),
        image_type="uint8", images={"train": 9},
        normalization=NormalizationValues(mean=(0.5,) * channels, std=(1.0,) * channels, unit=255.0),
        progress=Progress(epoch=1, step=1, metrics=METRICS, best_epoch=1, best_metrics=METRICS),
    )  # fmt: skip


def files(exported: Exported, folder: Path) -> tuple[StateDict, str]:
    check(exported.model.rows)
    state, module = torch_files(exported.model, metadata(exported), "net.safetensors")
    (folder / "net.safetensors").write_bytes(state)
    return read_state_dict(folder / "net.safetensors"), module.decode("ascii")


def same_bits(one: Array, other: Array) -> bool:
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


def test_every_layer_is_in_the_table() -> None:
    assert set(TABLE) == set(LAYERS.values())


@pytest.mark.parametrize(("name", "number", "layer", "shape"), EVERY, ids=lambda value: str(value)[:40])
def test_there_and_back(name: str, number: int, layer: str, shape: tuple[int, int, int], tmp_path: Path) -> None:
    exported = of_layers(layer if layer == name else f"{{{layer}}}", shape)
    state, module = files(exported, tmp_path)
    ast.parse(module)
    back = our_tensors(state, list(exported.model.rows))
    assert back.keys() == exported.model.tensors.keys()
    assert all(same_bits(back[key], value) for key, value in exported.model.tensors.items())


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "configs").glob("*.yaml")))
def test_recipes_there_and_back(name: str, tmp_path: Path) -> None:
    exported = of_recipe(name)
    state, module = files(exported, tmp_path)
    assert max(len(line) for line in module.splitlines() if "_floats(" not in line) <= 120
    back = our_tensors(state, list(exported.model.rows))
    assert all(same_bits(back[key], value) for key, value in exported.model.tensors.items())


LENET = {
    "0.weight": (6, 1, 5, 5), "0.bias": (6,), "3.weight": (16, 6, 5, 5), "3.bias": (16,), "7.weight": (120, 400),
    "7.bias": (120,), "9.weight": (84, 120), "9.bias": (84,), "11.weight": (10, 84), "11.bias": (10,),
}  # fmt: skip


def test_the_names_of_lenet(tmp_path: Path) -> None:
    """As nn.Sequential counts: convolution, tanh, pooling, twice; Flatten; linear, tanh, linear, tanh, linear."""
    state, module = files(of_recipe("mnist-lenet5"), tmp_path)
    assert {name: tensor.shape for name, tensor in state.tensors.items()} == LENET
    with safe_open(tmp_path / "net.safetensors", framework="numpy") as file:
        assert file.metadata()["format"] == "pt"
    lines = [line.partition(" #")[0].strip() for line in module.partition("return nn.Sequential(")[2].splitlines()]
    assert lines[1:9] == [
        "nn.Conv2d(1, 6, 5, padding='same'),", "nn.Tanh(),", "nn.MaxPool2d(2),", "nn.Conv2d(6, 16, 5),", "nn.Tanh(),",
        "nn.MaxPool2d(2),", "nn.Flatten(),", "nn.Linear(400, 120),",
    ]  # fmt: skip


def test_the_names_of_layers_inside_layers(tmp_path: Path) -> None:
    layers = (
        "conv2d: {filters: 2, kernel_size: 1}, "
        "repeat: {times: 2, layers: [residual: {body: [batch_norm2d], shortcut: [prelu]}]}, "
        "branches: [[relu, conv2d: {filters: 1, kernel_size: 1, bias: false}], "
        "[dense: 12, batch_norm2d: {scale: false}]]"
    )
    with pytest.raises(Exception, match="rows and columns"):
        of_layers(layers, (2, 3, 4))
    exported = of_layers(layers, (2, 1, 1))
    state, module = files(exported, tmp_path)
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    inside = [[f"1.{i}.body.0.{n}" for n in norm] + [f"1.{i}.shortcut.0.weight"] for i in (0, 1)]
    # in the second branch: Flatten, Linear, Unflatten, BatchNorm2d
    second = [f"2.branches.1.{name}" for name in ("1.weight", "1.bias", *(f"3.{n}" for n in norm))]
    expected = ["0.weight", "0.bias", *inside[0], *inside[1], "2.branches.0.1.weight", *second, "4.weight", "4.bias"]
    assert sorted(state.tensors) == sorted(expected)
    np.testing.assert_array_equal(state.tensors["2.branches.1.3.weight"], np.ones(12, np.float32))
    assert state.tensors["1.0.body.0.num_batches_tracked"].shape == ()
    assert "class Residual(nn.Module)" in module
    assert "class Concatenated(nn.Module)" in module
    assert "class ZeroPadded" not in module


def test_filters_of_a_convolution_are_rotated(tmp_path: Path) -> None:
    layer = "conv2d: {filters: 2, kernel_size: [2, 3], mode: MODE}"
    tensors = []
    for mode in ("cross_correlation", "convolution"):
        exported = of_layers(f"{{{layer.replace('MODE', mode)}}}", (2, 4, 5))
        tensors.append((files(exported, tmp_path)[0].tensors["0.weight"], exported.model.tensors["0.conv2d.weight"]))
    assert same_bits(*tensors[0])
    theirs, ours = tensors[1]
    for r in range(2):
        for s in range(3):
            np.testing.assert_array_equal(theirs[:, :, r, s], ours[:, :, 1 - r, 2 - s])


def test_names_are_harmless_in_the_module() -> None:
    exported = of_layers("relu", (2, 3, 4))
    names = ['"""\nimport os', "\\", "Ü\u202e"]
    model = exported.model.__class__(**{**exported.model.__dict__, "class_names": names})
    _, module = torch_files(model, metadata(exported), "'\n'.safetensors")
    tree = ast.parse(module)
    values = {
        ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)
    }  # fmt: skip
    assert ast.literal_eval(values["CLASS_NAMES"]) == names
    assert [ast.unparse(node) for node in tree.body if isinstance(node, ast.Import)] == [
        "import base64",
        "import torch",
    ]


def changed(exported: Exported, folder: Path, **tensors: Array | None) -> StateDict:
    """The state dict with other tensors; None takes one away. A name's dots are written as __."""
    state, _ = files(exported, folder)
    new = {**state.tensors, **{name.replace("__", "."): value for name, value in tensors.items()}}
    return StateDict(state.path, {name: value for name, value in new.items() if value is not None}, None)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"x0__weight": None}, r"0.weight float32\[3, 2, 1, 1\] is missing"),
        ({"x9__weight": np.zeros(3, np.float32)}, r"9.weight float32\[3\] is unknown"),
        ({"x0__bias": np.zeros(4, np.float32)}, r"0.bias is float32\[4\], expected float32\[3\]"),
        ({"x0__bias": np.zeros(3, np.int64)}, r"0.bias is int64\[3\], expected float32\[3\]"),
        ({"x0__bias": np.array([0, np.nan, 0], np.float32)}, "NaN or infinity in 0.bias"),
        ({"x1__weight": np.array([1, 1, 2], np.float32)}, "1.weight must be all ones: 1.batch_norm2d of the given"),
    ],
)  # fmt: skip
def test_state_dicts_that_do_not_fit(tensors: dict[str, Array | None], message: str, tmp_path: Path) -> None:
    exported = of_layers("conv2d: {filters: 3, kernel_size: 1}, batch_norm2d: {scale: false}", (2, 3, 4))
    state = changed(exported, tmp_path, **{name[1:] if name[0] == "x" else name: t for name, t in tensors.items()})
    with pytest.raises(CheckpointError, match=message):
        our_tensors(state, list(exported.model.rows))


def test_old_versions_count_no_batches(tmp_path: Path) -> None:
    exported = of_layers("batch_norm2d", (2, 3, 4))
    state = changed(exported, tmp_path, **{"0__num_batches_tracked": None})
    assert our_tensors(state, list(exported.model.rows)).keys() == exported.model.tensors.keys()


def test_a_length_may_begin_like_a_pickle(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    for size in range(1, 300):
        path.write_bytes(safetensors_bytes({"a": np.zeros(1, np.float32)}, {"b": "c" * size}))
        if path.read_bytes()[0] == 0x80:
            assert read_state_dict(path).tensors["a"].size == 1
            return
    raise AssertionError("no header had such a length")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 a zip", r"(?s)is a pickle, .* it is not opened.*torch.load\("),
        (b"\x80\x02}q\x00.", "is a pickle"),
        (b"", "is no checkpoint: it has 0 bytes"),
        (b"\xff" * 100, "is no safetensors file: its first 8 bytes promise a header of"),
        (b"\x10" + bytes(7) + b"not json at all!", "is corrupt: its header cannot be read"),
        (safetensors_bytes({"a": np.zeros(4, np.float32)}, {})[:-3], "is truncated"),
    ],
)
def test_files_that_are_no_state_dicts(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_state_dict(path)
    with pytest.raises(CheckpointError, match=r"gone.safetensors: cannot be read: No such file"):
        read_state_dict(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("kind", ["F64", "F16", "BF16"])
def test_types_that_are_not_ours(kind: str, tmp_path: Path) -> None:
    size = {"F64": 8, "F16": 2, "BF16": 2}[kind]
    header = json.dumps({"a": {"dtype": kind, "shape": [2], "data_offsets": [0, 2 * size]}}).encode()
    path = tmp_path / "net.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(2 * size))
    with pytest.raises(CheckpointError, match=f"tensor a has type {kind}; convert takes F32"):
        read_state_dict(path)


def test_the_sequential_ends_flat() -> None:
    exported = of_layers("relu", (2, 3, 4))
    assert sequential(exported.model.rows)[-1].text == "nn.Linear(24, 3)"
    rows = infer_shapes(exported.config.model_copy(update={"network": exported.config.network[:1]}), (3, 1, 1), 3)  # type: ignore[arg-type]
    assert [module.text for module in sequential(rows)] == ["nn.ReLU()", "nn.Flatten()"]
