"""What the intrinsics of lane vectors and register tiles are made of: LLVM instructions.

Each function adds instructions to a builder and returns the value that they make.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

from cnntrain.kernels.compiler import checked
from cnntrain.kernels.lanes.types import Lanes, Tile, element_ir
from cnntrain.shape import LANES


def address(context: Any, builder: Any, array_type: Any, array: Any, offset: Any, number: int) -> Any:
    """Point to array[offset], where `number` numbers are read or written."""
    parts = cgutils.create_struct_proxy(array_type)(context, builder, value=array)
    if checked.CHECKED:
        return checked.checked_address(builder, parts.data, parts.nitems, offset, number)
    return builder.gep(parts.data, [offset], inbounds=True)


def load_vector(context: Any, builder: Any, array_type: Any, array: Any, offset: Any, number: int = LANES) -> Any:
    """Read array[offset : offset + number]."""
    vector = ir.VectorType(element_ir(array_type.dtype), number)
    pointer = address(context, builder, array_type, array, offset, number)
    pointer = builder.bitcast(pointer, vector.as_pointer())
    return builder.load(pointer, align=array_type.dtype.bitwidth // 8)


def store_vector(context: Any, builder: Any, array_type: Any, array: Any, offset: Any, value: Any) -> None:
    """Write a vector to array[offset:]."""
    pointer = address(context, builder, array_type, array, offset, value.type.count)
    pointer = builder.bitcast(pointer, value.type.as_pointer())
    builder.store(value, pointer, align=array_type.dtype.bitwidth // 8)


def broadcast(builder: Any, scalar: Any, number: int = LANES) -> Any:
    """Put a number into every lane."""
    vector = ir.VectorType(scalar.type, number)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), number), [0] * number)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), mask)


def load_number(context: Any, builder: Any, array_type: Any, array: Any, offset: Any, number: int = LANES) -> Any:
    """Read array[offset] into every lane."""
    return broadcast(builder, builder.load(address(context, builder, array_type, array, offset, 1)), number)


def call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Call a function by its name; the module declares it where it is new."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def suffix(vector: Any) -> str:
    """Return how LLVM names its functions on such vectors, for example v16f32."""
    return f"v{vector.count}f{32 if isinstance(vector.element, ir.FloatType) else 64}"


def fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """Compute a * b + c, rounded once; of whole numbers exactly."""
    if isinstance(a.type.element if isinstance(a.type, ir.VectorType) else a.type, ir.IntType):
        return builder.add(builder.mul(a, b), c)
    return call(builder, f"llvm.fma.{suffix(a.type)}", a.type, [a, b, c])


def stepped(builder: Any, base: Any, stride: Any, times: int) -> Any:
    """Compute base + times * stride."""
    return builder.add(base, builder.mul(stride, ir.Constant(base.type, times)))


def vectors_of(builder: Any, kind: Any, value: Any) -> list[Any]:
    """Take a tile apart; a lane vector is a tile of one."""
    if isinstance(kind, Lanes):
        return [value]
    return [builder.extract_value(value, i) for i in range(kind.height * kind.width)]


def joined(context: Any, builder: Any, kind: Any, vectors: list[Any]) -> Any:
    """Undo `vectors_of`."""
    if isinstance(kind, Lanes):
        return vectors[0]
    result = ir.Constant(context.get_value_type(kind), ir.Undefined)
    for i, vector in enumerate(vectors):
        result = builder.insert_value(result, vector, i)
    return result


def element_of(kind: Any) -> Any:
    """Return the element type of lane vectors, tiles and arrays."""
    if isinstance(kind, Tile):
        kind = kind.lanes
    return kind.element if isinstance(kind, Lanes) else kind.dtype
