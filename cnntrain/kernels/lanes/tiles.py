"""What register tiles do: loaded, stored, and accumulated as products of vectors and numbers.

`rows` and `columns` are dummy tuples, e.g. (0, 0, 0): only their length counts, and it is part of the type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from cnntrain.kernels.lanes.codegen import fused, load_number, load_vector, stepped, store_vector
from cnntrain.kernels.lanes.types import Lanes, Tile
from cnntrain.shape import LANES


@intrinsic
def tile_splat(typingctx, array, offset, rows, columns):
    """Return the tile whose column j holds array[offset + j] in every row and lane."""
    tile = Tile(Lanes(array.dtype), len(rows), len(columns))

    def codegen(context, builder, sig, args):
        result = ir.Constant(context.get_value_type(tile), ir.Undefined)
        for j in range(tile.width):
            value = load_number(context, builder, sig.args[0], args[0], stepped(builder, args[1], _one(args[1]), j))
            for i in range(tile.height):
                result = builder.insert_value(result, value, i * tile.width + j)
        return result

    return tile(array, types.intp, rows, columns), codegen


@intrinsic
def tile_zero(typingctx, array, rows, columns):
    """Return a tile of zeros, in the element type of the array."""
    tile = Tile(Lanes(array.dtype), len(rows), len(columns))

    def codegen(context, builder, sig, args):
        return ir.Constant(context.get_value_type(tile), None)

    return tile(array, rows, columns), codegen


def _one(like: Any) -> Any:
    return ir.Constant(like.type, 1)


def _tile_load(tile: Tile) -> Callable[..., Any]:
    def codegen(context, builder, sig, args):
        result = ir.Constant(context.get_value_type(tile), ir.Undefined)
        for i in range(tile.height):
            for j in range(tile.width):
                offset = stepped(builder, stepped(builder, args[1], args[2], i), args[3], j)
                value = load_vector(context, builder, sig.args[0], args[0], offset, tile.lanes.number)
                result = builder.insert_value(result, value, i * tile.width + j)
        return result

    return codegen


@intrinsic
def tile_load(typingctx, array, offset, row_step, column_step, rows, columns):
    """Return the tile of lane vectors array[offset + i * row_step + j * column_step + lane]."""
    tile = Tile(Lanes(array.dtype), len(rows), len(columns))
    return tile(array, types.intp, types.intp, types.intp, rows, columns), _tile_load(tile)


@intrinsic
def narrow_tile_load(typingctx, array, offset, row_step, column_step, rows, columns, lanes):
    """Return a tile as `tile_load` does, but of `len(lanes)` lanes instead of sixteen."""
    tile = Tile(Lanes(array.dtype, len(lanes)), len(rows), len(columns))
    return tile(array, types.intp, types.intp, types.intp, rows, columns, lanes), _tile_load(tile)


@intrinsic
def tile_store(typingctx, array, offset, row_step, column_step, tile):
    """Write a tile to array[offset + i * row_step + j * column_step + lane]."""

    def codegen(context, builder, sig, args):
        for i in range(tile.height):
            for j in range(tile.width):
                offset = stepped(builder, stepped(builder, args[1], args[2], i), args[3], j)
                value = builder.extract_value(args[4], i * tile.width + j)
                store_vector(context, builder, sig.args[0], args[0], offset, value)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp, tile), codegen


def _accumulate(splat_right: bool, doc: str) -> Callable[..., Any]:
    """Build tile[i, j] += left[i] * right[j], where right[j] is one number for all lanes or a lane vector."""

    def function(typingctx, tile, left, left_at, left_step, right, right_at, right_step):
        def codegen(context, builder, sig, args):
            result, left_, left_at_, left_step_, right_, right_at_, right_step_ = args
            take, number = load_number if splat_right else load_vector, tile.lanes.number
            rows = [
                load_vector(context, builder, sig.args[1], left_, stepped(builder, left_at_, left_step_, i), number)
                for i in range(tile.height)
            ]
            for j in range(tile.width):
                column = take(
                    context, builder, sig.args[4], right_, stepped(builder, right_at_, right_step_, j), number
                )
                for i in range(tile.height):
                    position = i * tile.width + j
                    value = fused(builder, rows[i], column, builder.extract_value(result, position))
                    result = builder.insert_value(result, value, position)
            return result

        return tile(tile, left, types.intp, types.intp, right, types.intp, types.intp), codegen

    function.__doc__ = doc
    return intrinsic(function)


accumulate = _accumulate(
    True,
    "tile[i, j] += (lane vector left[left_at + i * left_step]) * (number right[right_at + j * right_step]).",
)
accumulate_lanes = _accumulate(
    False,
    "tile[i, j] += (lane vector left[left_at + i * left_step]) * (lane vector right[right_at + j * right_step]).",
)


@intrinsic
def accumulate_pairs(typingctx, tile, left, left_at, right, right_at):
    """tile[0, j] += (lane vector left[left_at + 16 j]) * (number right[right_at + j])."""

    def codegen(context, builder, sig, args):
        result, left_, left_at_, right_, right_at_ = args
        for j in range(tile.width):
            at = stepped(builder, left_at_, ir.Constant(left_at_.type, LANES), j)
            a = load_vector(context, builder, sig.args[1], left_, at)
            b = load_number(context, builder, sig.args[3], right_, stepped(builder, right_at_, _one(right_at_), j))
            value = fused(builder, a, b, builder.extract_value(result, j))
            result = builder.insert_value(result, value, j)
        return result

    return tile(tile, left, types.intp, right, types.intp), codegen


@intrinsic
def accumulate_shifted(typingctx, tile, left, left_at, right, right_at, right_step):
    """tile[i, j] += (lane vector left[left_at + 16 i]) * (lane vector right[right_at + 16 i + j * right_step])."""

    def codegen(context, builder, sig, args):
        result, left_, left_at_, right_, right_at_, right_step_ = args
        wide = ir.Constant(left_at_.type, LANES)
        for i in range(tile.height):
            a = load_vector(context, builder, sig.args[1], left_, stepped(builder, left_at_, wide, i))
            for j in range(tile.width):
                at = stepped(builder, stepped(builder, right_at_, wide, i), right_step_, j)
                b = load_vector(context, builder, sig.args[3], right_, at)
                position = i * tile.width + j
                value = fused(builder, a, b, builder.extract_value(result, position))
                result = builder.insert_value(result, value, position)
        return result

    return tile(tile, left, types.intp, right, types.intp, types.intp), codegen


@intrinsic
def store_transposed(typingctx, target, at, step, source, source_at, source_step):
    """Write target[at + lane * step + j] = source[source_at + j * source_step + lane] for 16 lanes and 16 vectors j.

    Four rounds of exchanges: round d swaps the off-diagonal d x d blocks of every 2d x 2d block.
    """

    def codegen(context, builder, sig, args):
        target_, at_, step_, source_, source_at_, source_step_ = args
        v = [
            load_vector(context, builder, sig.args[3], source_, stepped(builder, source_at_, source_step_, j))
            for j in range(LANES)
        ]
        mask_type = ir.VectorType(ir.IntType(32), LANES)
        for d in (8, 4, 2, 1):
            low = [i if not i & d else LANES + i - d for i in range(LANES)]
            high = [i + d if not i & d else LANES + i for i in range(LANES)]
            for j in range(LANES):
                if not j & d:
                    a, b = v[j], v[j + d]
                    v[j] = builder.shuffle_vector(a, b, ir.Constant(mask_type, low))
                    v[j + d] = builder.shuffle_vector(a, b, ir.Constant(mask_type, high))
        for lane in range(LANES):
            store_vector(context, builder, sig.args[0], target_, stepped(builder, at_, step_, lane), v[lane])
        return context.get_dummy_value()

    return types.void(target, types.intp, types.intp, source, types.intp, types.intp), codegen
