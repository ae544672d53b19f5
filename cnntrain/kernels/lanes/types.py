"""Two Numba types that carry the whole package: the lane vector and the register tile.

A **lane vector** (`Lanes`) holds 16 numbers side by side, one per image; it is an LLVM vector and lives in registers
(one AVX-512 register, two AVX2 registers or four NEON registers for float32). Operators work lane by lane.

A **register tile** (`Tile`) holds `height x width` lane vectors: the accumulators of a matrix-like product. Both are
plain values: `tile = accumulate(tile, ...)` in a loop keeps all of them in registers.

Arrays are flat and one-dimensional, offsets count elements. Nothing here checks bounds.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import models, register_model

from cnntrain.shape import LANES


class Lanes(types.Type):
    """Sixteen numbers (or another number of them) of a type: a float, an integer or boolean."""

    def __init__(self, element: types.Type, number: int = LANES) -> None:
        self.element, self.number = element, number
        super().__init__(name=f"Lanes({element}, {number})")


class Tile(types.Type):
    """`height x width` lane vectors, row by row."""

    def __init__(self, lanes: Lanes, height: int, width: int) -> None:
        self.lanes, self.height, self.width = lanes, height, width
        super().__init__(name=f"Tile({lanes}, {height}, {width})")


class Memory(types.Type):
    """Where the numbers of an array are: what kernels hand to each other in the place of arrays.

    Numba's own arrays are seven values (shape, strides, who owns them), which cost time to compile wherever they pass.
    """

    def __init__(self, dtype: types.Type) -> None:
        self.dtype = dtype
        super().__init__(name=f"Memory({dtype})")


def element_ir(element: Any) -> ir.Type:
    """Return LLVM's type of one number."""
    if element == types.float32:
        return ir.FloatType()
    if element == types.float64:
        return ir.DoubleType()
    return ir.IntType(1 if element == types.boolean else element.bitwidth)


def vector_ir(lanes: Lanes) -> ir.Type:
    """Return LLVM's type of a lane vector."""
    return ir.VectorType(element_ir(lanes.element), lanes.number)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        super().__init__(manager, lanes, vector_ir(lanes))


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Tile) -> None:
        super().__init__(manager, tile, ir.ArrayType(vector_ir(tile.lanes), tile.height * tile.width))


@register_model(Memory)
class _MemoryModel(models.StructModel):
    def __init__(self, manager: Any, memory: Memory) -> None:
        # named as those of Numba's arrays
        super().__init__(manager, memory, [("data", types.CPointer(memory.dtype)), ("nitems", types.intp)])
