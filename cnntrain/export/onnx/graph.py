"""An ONNX graph as it grows: nodes, constants, and the lowest operator set that has all of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnntrain.shape import Shape

LOWEST = 7  # summands of differing shapes; the oldest set that ONNX Runtime promises to run
IR_VERSION = 4  # the oldest in which constants are no inputs
_SINCE = {"Erf": 9}  # operators that are newer; the rest mean here what they meant in 7


class Value(NamedTuple):
    """What flows between layers: (N, channels, rows, columns), or where it is flat (N, C·H·W)."""

    name: str
    shape: Shape
    flat: bool = False


class Graph:
    """Nodes in their order.

    Attributes
    ----------
    opset : int
        The lowest operator set that has all operators so far.
    nodes : list of onnx.NodeProto
    constants : list of onnx.TensorProto
    """

    def __init__(self) -> None:
        import onnx

        self._onnx = onnx
        self.opset = LOWEST
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._names: set[str] = set()

    def add(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Add a node and return the name of its output: `name`, or that with a number if it is taken."""
        self.opset = max(self.opset, _SINCE.get(operator, LOWEST))
        output = self._free(name)
        self.nodes.append(self._onnx.helper.make_node(operator, inputs, [output], output, **attributes))
        return output

    def constant(self, name: str, array: NDArray[Any], dtype: Any = np.float32) -> str:
        """Add an array, and return its name."""
        name = self._free(name)
        self.constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(array, dtype), name))
        return name

    def number(self, name: str, value: float) -> str:
        """Add a number that fits to any shape."""
        return self.constant(name, np.array(value))

    def flat(self, value: Value) -> Value:
        """Return a value as (N, C·H·W)."""
        if value.flat:
            return value
        return value._replace(name=self.add("Flatten", [value.name], f"{value.name}/flat", axis=1), flat=True)

    def image(self, value: Value) -> Value:
        """Return a value as (N, channels, rows, columns)."""
        if not value.flat:
            return value
        shape = self.constant(f"{value.name}/shape", np.array([0, *value.shape]), np.int64)
        return value._replace(name=self.add("Reshape", [value.name, shape], f"{value.name}/image"), flat=False)

    def _free(self, name: str) -> str:
        free, number = name, 1
        while free in self._names:
            number += 1
            free = f"{name}_{number}"
        self._names.add(free)
        return free
