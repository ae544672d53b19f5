"""`cnntrain export --onnx`: images in, probabilities out; normalisation and softmax are inside the graph."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cnntrain import __version__
from cnntrain.errors import ExportError
from cnntrain.export.model import Model, check_layers
from cnntrain.export.onnx.graph import IR_VERSION, Graph, Value
from cnntrain.export.onnx.layers import TABLE, Export
from cnntrain.layers import LayerRow

IMAGES, LOGITS, PROBABILITIES = "images", "logits", "probabilities"
LARGEST = 2**31 - 1  # bytes of a protobuf message


def check(rows: Sequence[LayerRow]) -> None:
    """Raise `ExportError` where a layer, or the package onnx, is missing."""
    check_layers(rows, TABLE, "ONNX")
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ExportError("--onnx needs the package onnx: pip install 'cnntrain[onnx]'") from error


def onnx_bytes(model: Model, *, fold_batch_norm: bool = False) -> bytes:
    """Return the content of an .onnx file.

    The graph takes `images` (N, C, H, W), N any number, uint8 or (for a network trained on floats) float32, as they
    are stored; it gives `probabilities` and `logits`, (N, classes), float32.

    Parameters
    ----------
    model : Model
        Its layers must have passed `check`.
    fold_batch_norm : bool
        Make batch norm part of the weights of a convolution or dense layer directly before it.

    Raises
    ------
    ExportError
        The file would be larger than ONNX files can be.
    """
    import onnx

    graph = Graph()
    x = Export(graph, model, fold_batch_norm).sequence(model.rows, _normalized(graph, model))
    logits = graph.flat(x).name
    graph.add("Identity", [logits], LOGITS)
    graph.add("Softmax", [LOGITS], PROBABILITIES, axis=1)
    helper, kind = onnx.helper, onnx.TensorProto
    classes = len(model.class_names)
    images = helper.make_tensor_value_info(IMAGES, getattr(kind, _type(model)), ["N", *model.input_shape])
    outputs = [helper.make_tensor_value_info(name, kind.FLOAT, ["N", classes]) for name in (PROBABILITIES, LOGITS)]
    whole = helper.make_graph(graph.nodes, model.name, [images], outputs, graph.constants)
    proto = helper.make_model(
        whole,
        opset_imports=[helper.make_opsetid("", graph.opset)],
        ir_version=IR_VERSION,
        producer_name="cnntrain",
        producer_version=__version__,
    )
    helper.set_model_props(proto, _metadata(model))
    size = proto.ByteSize()
    if size > LARGEST:
        raise ExportError(f"an ONNX file holds at most {LARGEST:,} bytes; this network needs {size:,}")
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _type(model: Model) -> str:
    return "UINT8" if model.image_type == "uint8" else "FLOAT"


def _normalized(graph: Graph, model: Model) -> Value:
    """Image * scale + shift, per channel or with a mean image."""
    image = IMAGES
    if model.image_type == "uint8":
        import onnx

        image = graph.add("Cast", [image], "normalize/pixels", to=onnx.TensorProto.FLOAT)
    scale, shift = model.normalization.affine()
    if (scale != 1).any():
        factor = graph.constant("normalize.scale", scale.reshape(1, -1, 1, 1))
        image = graph.add("Mul", [image, factor], "normalize/scaled")
    if shift.any():
        summand = graph.constant("normalize.shift", shift.reshape(1, len(scale), *(shift.shape[1:] or (1, 1))))
        image = graph.add("Add", [image, summand], "normalize")
    return Value(image, model.input_shape)


def _metadata(model: Model) -> dict[str, str]:
    """Everything that the user of the file must know and the graph cannot say."""
    channels, rows, columns = model.input_shape
    image = {"channels": channels, "rows": rows, "columns": columns, "type": model.image_type, **model.decoding}
    return {
        "class_names": json.dumps(list(model.class_names)),
        "image": json.dumps(image),
        "trained_by": f"cnntrain {__version__}",
    }


def opset_of(content: bytes) -> int:
    """Return the operator set of a file that `onnx_bytes` made."""
    import onnx

    version: int = onnx.load_from_string(content).opset_import[0].version
    return version
