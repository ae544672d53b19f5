"""Register tiles whose columns lie anywhere: `places` says where each begins, and stores that stop at the last channel.

A *place* is an offset into an array; a tile has one for each of its columns, as a tuple of whole numbers.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from cnntrain.kernels.lanes.codegen import address, fused, load_number, load_vector, stepped
from cnntrain.kernels.lanes.types import Memory


@intrinsic
def places_at(typingctx, array, offset, base, columns):
    """Return base + array[offset + j] for each column j, as a tuple; the array holds whole numbers."""
    result = types.UniTuple(types.intp, len(columns))

    def codegen(context, builder, sig, args):
        value = context.get_constant_undef(result)
        for j in range(len(columns)):
            at = builder.add(args[1], ir.Constant(args[1].type, j))
            number = builder.load(address(context, builder, sig.args[0], args[0], at, 1))
            place = builder.add(args[2], builder.sext(number, args[2].type))
            value = builder.insert_value(value, place, j)
        return value

    return result(array, types.intp, types.intp, columns), codegen


@intrinsic
def accumulate_at(typingctx, tile, left, left_at, left_step, right, places, right_at):
    """tile[i, j] += (vector left[left_at + i * left_step]) * (number right[places[j] + right_at])."""

    def codegen(context, builder, sig, args):
        result, left_, left_at_, left_step_, right_, places_, right_at_ = args
        number = tile.lanes.number
        rows = [
            load_vector(context, builder, sig.args[1], left_, stepped(builder, left_at_, left_step_, i), number)
            for i in range(tile.height)
        ]
        for j in range(tile.width):
            at = builder.add(builder.extract_value(places_, j), right_at_)
            column = load_number(context, builder, sig.args[4], right_, at, number)
            for i in range(tile.height):
                position = i * tile.width + j
                value = fused(builder, rows[i], column, builder.extract_value(result, position))
                result = builder.insert_value(result, value, position)
        return result

    return tile(tile, left, types.intp, types.intp, right, places, types.intp), codegen


def _store_first(context: Any, builder: Any, array_type: Any, array: Any, offset: Any, value: Any, number: Any) -> None:
    """Write the first `number` numbers of a vector to array[offset:]."""
    pointer = builder.bitcast(address(context, builder, array_type, array, offset, 1), value.type.as_pointer())
    count, whole = value.type.count, ir.IntType(32)
    kind = ir.VectorType(whole, count)
    one = builder.insert_element(
        ir.Constant(kind, ir.Undefined), builder.trunc(number, whole), ir.Constant(whole, 0)
    )  # fmt: skip
    limit = builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(kind, [0] * count))
    mask = builder.icmp_signed("<", ir.Constant(kind, list(range(count))), limit)
    element = "f32" if isinstance(value.type.element, ir.FloatType) else "f64"
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), [value.type, value.type.as_pointer(), whole, mask.type]),
        f"llvm.masked.store.v{count}{element}.p0",
    )
    align = ir.Constant(whole, array_type.dtype.bitwidth // 8)
    builder.call(function, [value, pointer, align, mask])


@intrinsic
def store_first(typingctx, array, offset, value, number):
    """Write the first `number` lanes of a lane vector to array[offset:]; what lies behind stays."""

    def codegen(context, builder, sig, args):
        _store_first(context, builder, sig.args[0], *args)
        return context.get_dummy_value()

    return types.void(array, types.intp, value, types.intp), codegen


@intrinsic
def tile_store_first(typingctx, array, offset, row_step, column_step, tile, number):
    """Write tile[i, j] to array[offset + i * row_step + j * column_step:], of its last row `number` numbers only."""

    def codegen(context, builder, sig, args):
        array_, offset_, row_step_, column_step_, tile_, number_ = args
        for j in range(tile.width):
            for i in range(tile.height):
                at = stepped(builder, stepped(builder, offset_, row_step_, i), column_step_, j)
                value = builder.extract_value(tile_, i * tile.width + j)
                if i < tile.height - 1:
                    pointer = address(context, builder, sig.args[0], array_, at, value.type.count)
                    pointer = builder.bitcast(pointer, value.type.as_pointer())
                    builder.store(value, pointer, align=sig.args[0].dtype.bitwidth // 8)
                else:
                    _store_first(context, builder, sig.args[0], array_, at, value, number_)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp, tile, types.intp), codegen


@intrinsic
def memory_from(typingctx, array, offset):
    """Return where the numbers of a flat array are from `offset` on (`lanes.memory`)."""

    def codegen(context, builder, sig, args):
        parts = cgutils.create_struct_proxy(sig.args[0])(context, builder, value=args[0])
        result = cgutils.create_struct_proxy(sig.return_type)(context, builder)
        result.data = builder.gep(parts.data, [args[1]])
        result.nitems = builder.sub(parts.nitems, args[1])
        return result._getvalue()

    return Memory(array.dtype)(array, types.intp), codegen
