"""The Python modules and state dicts with PyTorch itself, where it is installed: every layer computes the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch (torch) is not installed: pip install 'cnntrain[compare]'")

import torch

from cnntrain.export.torch import torch_files
from cnntrain.export.torch.convert import our_tensors, read_state_dict
from tests.docs.blocks import blocks_of
from tests.export.models import EVERY, ROOT, Array, Exported, of_layers, of_recipe
from tests.export.test_torch import metadata, same_bits


def compare(exported: Exported, images: Array, folder: Path) -> None:
    from safetensors.torch import save_file

    state, text = torch_files(exported.model, metadata(exported), "net.safetensors")
    (folder / "net.safetensors").write_bytes(state)
    names: dict[str, Any] = {"__file__": str(folder / "net.py"), "__name__": "net"}
    exec(compile(text, "net.py", "exec"), names)  # noqa: S102
    network = names["load"]()
    with torch.no_grad():
        logits = network(names["normalize"](torch.from_numpy(images))).numpy()
    expected = exported.logits(images)
    scale = float(np.abs(expected).max())
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * scale)
    save_file(network.state_dict(), folder / "theirs.safetensors")
    back = our_tensors(read_state_dict(folder / "theirs.safetensors"), list(exported.model.rows))
    assert all(same_bits(back[key], value) for key, value in exported.model.tensors.items())


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.parametrize(("name", "number", "layer", "shape"), EVERY, ids=lambda value: str(value)[:40])
def test_layer(name: str, number: int, layer: str, shape: tuple[int, int, int], tmp_path: Path) -> None:
    exported = of_layers(layer if layer == name else f"{{{layer}}}", shape)
    compare(exported, exported.images(5), tmp_path)


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "configs").glob("*.yaml")))
def test_recipe(name: str, tmp_path: Path) -> None:
    exported = of_recipe(name)
    compare(exported, exported.images(4), tmp_path)


@pytest.mark.parametrize("image_type", ["uint8", "float32"])
def test_mean_image(image_type: str, tmp_path: Path) -> None:
    exported = of_layers("conv2d: {filters: 3, kernel_size: 3}, relu", (2, 6, 5), image_type, True)
    compare(exported, exported.images(5), tmp_path)


def test_what_the_document_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = next(block for block in blocks_of("docs/deploy.md") if block.first.startswith("from lenet import"))
    exported = of_recipe("mnist-lenet5")
    state, module = torch_files(exported.model, metadata(exported), "lenet.safetensors")
    (tmp_path / "lenet.safetensors").write_bytes(state)
    (tmp_path / "lenet.py").write_bytes(module)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(block.text, block.place, "exec"), names)  # noqa: S102
    black = exported.probabilities(np.zeros((1, 1, 28, 28), np.uint8))
    np.testing.assert_allclose(names["probabilities"][0].numpy(), black[0], rtol=0, atol=1e-5)
