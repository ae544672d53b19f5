"""What all exporters have in common: layers that cannot leave are named, decoding is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cnntrain import extensions
from cnntrain.config import infer_shapes, parse_config
from cnntrain.errors import ExportError
from cnntrain.export import c, onnx, torch
from cnntrain.export.model import decoding_of
from cnntrain.layers import LayerRow
from cnntrain.shape import Shape
from tests.export.models import ROOT, of_recipe

HEAD = "data: {source: DATA, path: x}\noptimizer: {sgd: 0.1}\n"


@pytest.mark.parametrize(
    ("check", "target"), [(onnx.check, "ONNX"), (torch.check, "a PyTorch module"), (c.check, "C")]
)  # fmt: skip
def test_layers_of_the_users_own_are_named(check: Callable[[Sequence[LayerRow]], None], target: str) -> None:
    layers = "network: [softsign, residual: [channel_scale], relu, dense: classes]"
    text = f"{HEAD.replace('DATA', 'mnist')}extensions: [{ROOT}/examples/my_layers.py]\n{layers}"
    with extensions.allowed():
        rows = infer_shapes(parse_config(text, "own.yaml"), Shape(1, 6, 6), 10)
    with pytest.raises(ExportError) as raised:
        check(rows)
    assert str(raised.value).splitlines() == [
        f"cannot be written as {target}: nobody has said how these layers are (layers of your own are not exported):",
        "  0.softsign",
        "  1.residual.body.0.channel_scale",
    ]
    check(of_recipe("resnet20").model.rows)


def test_how_pictures_are_decoded() -> None:
    def decoding(text: str) -> dict[str, Any]:
        return decoding_of(parse_config(f"{text}network: [dense: classes]", "a.yaml").data)

    folder = HEAD.replace("DATA", "folder, resize: [32, 40], color: grey, background: [1, 2, 3]")
    assert decoding(folder) == {"color": "grey", "resize": [32, 40], "fit": "stretch", "background": [1, 2, 3]}
    assert decoding(HEAD.replace("DATA", "mnist")) == {}
