"""Two Numba types that carry the whole package: the lane vector and the register tile.

A **lane vector** (`Lanes`) holds 16 numbers side by side, one per image; it is an LLVM vector and lives in registers
(one AVX-512 register, two AVX2 registers or four NEON registers for float32). Operators work lane by lane.

A **register tile** (`Tile`) holds `height x width` lane vectors: the accumulators of a matrix-like product. Both are
plain values: `tile = accumulate(tile, ...)` in a loop keeps all of them in registers.

Arrays are flat and one-dimensional, offsets count elements. Nothing here checks bounds.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, models, register_model

LANES = 16


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


def _element_ir(element: Any) -> ir.Type:
    if element == types.float32:
        return ir.FloatType()
    if element == types.float64:
        return ir.DoubleType()
    return ir.IntType(1 if element == types.boolean else element.bitwidth)


def _vector_ir(lanes: Lanes) -> ir.Type:
    return ir.VectorType(_element_ir(lanes.element), lanes.number)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        super().__init__(manager, lanes, _vector_ir(lanes))


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Tile) -> None:
        super().__init__(manager, tile, ir.ArrayType(_vector_ir(tile.lanes), tile.height * tile.width))


# --- building blocks for the intrinsics below ---------------------------------------------------------------------


def _address(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    data = cgutils.create_struct_proxy(array_type)(context, builder, value=array).data
    return builder.gep(data, [offset], inbounds=True)


def _load(context: Any, builder: Any, array_type: Any, array: Any, offset: Any, number: int = LANES) -> Any:
    vector = ir.VectorType(_element_ir(array_type.dtype), number)
    pointer = builder.bitcast(_address(context, builder, array_type, array, offset), vector.as_pointer())
    return builder.load(pointer, align=array_type.dtype.bitwidth // 8)


def _store(context: Any, builder: Any, array_type: Any, array: Any, offset: Any, value: Any) -> None:
    pointer = builder.bitcast(_address(context, builder, array_type, array, offset), value.type.as_pointer())
    builder.store(value, pointer, align=array_type.dtype.bitwidth // 8)


def _splat(builder: Any, scalar: Any, number: int = LANES) -> Any:
    vector = ir.VectorType(scalar.type, number)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), number), [0] * number)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), mask)


def _load_splat(context: Any, builder: Any, array_type: Any, array: Any, offset: Any, number: int = LANES) -> Any:
    return _splat(builder, builder.load(_address(context, builder, array_type, array, offset)), number)


def _call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _suffix(vector: Any) -> str:
    return f"v{vector.count}f{32 if isinstance(vector.element, ir.FloatType) else 64}"


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return _call(builder, f"llvm.fma.{_suffix(a.type)}", a.type, [a, b, c])


def _step(builder: Any, base: Any, stride: Any, times: int) -> Any:
    return builder.add(base, builder.mul(stride, ir.Constant(base.type, times)))


# --- operators on lane vectors and tiles --------------------------------------------------------------------------


def _vectors(builder: Any, kind: Any, value: Any) -> list[Any]:
    """Take a tile apart; a lane vector is a tile of one."""
    if isinstance(kind, Lanes):
        return [value]
    return [builder.extract_value(value, i) for i in range(kind.height * kind.width)]


def _together(context: Any, builder: Any, kind: Any, vectors: list[Any]) -> Any:
    """Undo `_vectors`."""
    if isinstance(kind, Lanes):
        return vectors[0]
    result = ir.Constant(context.get_value_type(kind), ir.Undefined)
    for i, vector in enumerate(vectors):
        result = builder.insert_value(result, vector, i)
    return result


def _element(kind: Any) -> Any:
    """Return the element type of lane vectors, tiles and arrays."""
    if isinstance(kind, Tile):
        kind = kind.lanes
    return kind.element if isinstance(kind, Lanes) else kind.dtype


def _register_operator(symbol: Any, floating: str, integer: str | None, result: str | None = None) -> None:
    """Teach Numba `Lanes <symbol> Lanes`; `floating` and `integer` name methods of the LLVM builder.

    Those of floating-point numbers that make numbers work on tiles too, vector by vector.
    """

    @infer_global(symbol)
    class _Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) == 2 and isinstance(args[0], Lanes) and args[0] == args[1]:
                return signature(Lanes(types.boolean) if result else args[0], *args)
            if len(args) == 2 and isinstance(args[0], Tile) and args[0] == args[1] and floating and not result:
                return signature(args[0], *args)
            return None

    @lower_builtin(symbol, Lanes, Lanes)
    def _lower(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        method = floating if isinstance(sig.args[0].element, types.Float) else integer
        if method is None:
            raise TypeError(f"lane vectors of {sig.args[0].element} have no {symbol.__name__}")
        if result:
            return getattr(builder, method)(result, *args)
        return getattr(builder, method)(*args)

    @lower_builtin(symbol, Tile, Tile)
    def _lower_tile(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        pairs = zip(*(_vectors(builder, sig.return_type, tile) for tile in args), strict=True)
        return _together(context, builder, sig.return_type, [getattr(builder, floating)(a, b) for a, b in pairs])


for _symbol, _floating, _integer in (
    (operator.add, "fadd", "add"),
    (operator.sub, "fsub", "sub"),
    (operator.mul, "fmul", "mul"),
    (operator.truediv, "fdiv", None),
    (operator.and_, "", "and_"),
    (operator.or_, "", "or_"),
    (operator.xor, "", "xor"),
    (operator.rshift, "", "lshr"),
):
    _register_operator(_symbol, _floating, _integer)
for _symbol, _comparison in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
):
    _register_operator(_symbol, "fcmp_ordered", "icmp_signed", _comparison)


# --- functions on lane vectors and tiles --------------------------------------------------------------------------


@intrinsic
def load(typingctx, array, offset):
    """Return the lane vector array[offset : offset + 16]."""

    def codegen(context, builder, sig, args):
        return _load(context, builder, sig.args[0], args[0], args[1])

    return Lanes(array.dtype)(array, types.intp), codegen


@intrinsic
def store(typingctx, array, offset, value):
    """Write a lane vector to array[offset : offset + 16]."""

    def codegen(context, builder, sig, args):
        _store(context, builder, sig.args[0], args[0], args[1], args[2])
        return context.get_dummy_value()

    return types.void(array, types.intp, value), codegen


@intrinsic
def convert(typingctx, a, like):
    """Return the numbers of `a`, rounded, in the type of the array `like`: the same, float32 or float64."""
    source, target = a.element, like.dtype
    if source != target and not isinstance(target, types.Float):
        raise TypeError(f"{source} cannot be converted to {target}")

    def codegen(context, builder, sig, args):
        if source == target:
            return args[0]
        kind = ir.VectorType(_element_ir(target), LANES)
        if isinstance(source, types.Float):
            return (builder.fptrunc if source.bitwidth > target.bitwidth else builder.fpext)(args[0], kind)
        return (builder.sitofp if source.signed else builder.uitofp)(args[0], kind)

    return Lanes(target)(a, like), codegen


@intrinsic
def splat(typingctx, scalar):
    """Put one number into every lane."""

    def codegen(context, builder, sig, args):
        return _splat(builder, args[0])

    return Lanes(scalar)(scalar), codegen


@intrinsic
def constant(typingctx, like, number):
    """Put `number` (any scalar) into every lane of a vector like `like`: a lane vector, a tile, or an array of such."""
    element = _element(like)
    kind = like if isinstance(like, Tile) else Lanes(element)

    def codegen(context, builder, sig, args):
        vector = _splat(builder, context.cast(builder, args[1], sig.args[1], element))
        size = kind.height * kind.width if isinstance(kind, Tile) else 1
        return _together(context, builder, kind, [vector] * size)

    return kind(like, number), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """Return a * b + c, rounded once."""

    def codegen(context, builder, sig, args):
        vectors = zip(*(_vectors(builder, a, arg) for arg in args), strict=True)
        return _together(context, builder, a, [_fma(builder, *each) for each in vectors])

    return a(a, b, c), codegen


@intrinsic
def select(typingctx, condition, a, b):
    """Take `a` in the lanes where `condition` holds, `b` elsewhere."""

    def codegen(context, builder, sig, args):
        return builder.select(*args)

    return a(condition, a, b), codegen


@intrinsic
def is_nan(typingctx, a):
    """Tell which lanes are NaN."""

    def codegen(context, builder, sig, args):
        return builder.fcmp_unordered("uno", args[0], args[0])

    return Lanes(types.boolean)(a), codegen


@intrinsic
def negate(typingctx, condition):
    """Invert a vector of truth values."""

    def codegen(context, builder, sig, args):
        return builder.not_(args[0])

    return condition(condition), codegen


def _unary(name: str, doc: str) -> Callable[..., Any]:
    def function(typingctx, a):
        def codegen(context, builder, sig, args):
            return _call(builder, f"llvm.{name}.{_suffix(args[0].type)}", args[0].type, [args[0]])

        return a(a), codegen

    function.__doc__ = doc
    return intrinsic(function)


absolute = _unary("fabs", "Return |a|.")
round_even = _unary("rint", "Round to the nearest whole number, halves to even.")


@intrinsic
def lane_numbers(typingctx, like):
    """Return 0, 1, ... 15 in the type of the whole number `like`."""

    def codegen(context, builder, sig, args):
        return ir.Constant(ir.VectorType(args[0].type, LANES), list(range(LANES)))

    return Lanes(like)(like), codegen


def _ieee(element: types.Type) -> tuple[int, int]:
    """Bits of the mantissa, and bias of the exponent, of a floating-point type."""
    return (23, 127) if element == types.float32 else (52, 1023)


@intrinsic
def power_of_two(typingctx, exponent):
    """Return 2**exponent for whole `exponent` in the range of normal numbers, by writing the exponent's bits."""
    mantissa, bias = _ieee(exponent.element)

    def codegen(context, builder, sig, args):
        bits = ir.VectorType(ir.IntType(32 if mantissa == 23 else 64), LANES)
        whole = builder.fptosi(args[0], bits)
        shifted = builder.shl(
            builder.add(whole, ir.Constant(bits, [bias] * LANES)), ir.Constant(bits, [mantissa] * LANES)
        )
        return builder.bitcast(shifted, args[0].type)

    return exponent(exponent), codegen


@intrinsic
def exponent_of(typingctx, a):
    """Return the whole e with a = m * 2**e and 1 <= m < 2, for positive normal `a`."""
    mantissa, bias = _ieee(a.element)

    def codegen(context, builder, sig, args):
        bits = ir.VectorType(ir.IntType(32 if mantissa == 23 else 64), LANES)
        shifted = builder.lshr(builder.bitcast(args[0], bits), ir.Constant(bits, [mantissa] * LANES))
        return builder.sitofp(builder.sub(shifted, ir.Constant(bits, [bias] * LANES)), args[0].type)

    return a(a), codegen


@intrinsic
def mantissa_of(typingctx, a):
    """Return the m with a = m * 2**e and 1 <= m < 2, for positive normal `a`."""
    mantissa, bias = _ieee(a.element)

    def codegen(context, builder, sig, args):
        bits = ir.VectorType(ir.IntType(32 if mantissa == 23 else 64), LANES)
        fraction = builder.and_(builder.bitcast(args[0], bits), ir.Constant(bits, [(1 << mantissa) - 1] * LANES))
        return builder.bitcast(builder.or_(fraction, ir.Constant(bits, [bias << mantissa] * LANES)), args[0].type)

    return a(a), codegen


@intrinsic
def lane_of(typingctx, a, lane):
    """Return one lane as a number."""

    def codegen(context, builder, sig, args):
        return builder.extract_element(*args)

    return a.element(a, types.intp), codegen


@intrinsic
def sum_lanes(typingctx, a):
    """Add the sixteen lanes as a balanced tree: a fixed order, the same bits everywhere."""

    def codegen(context, builder, sig, args):
        vector, undefined = args[0], ir.Constant(args[0].type, ir.Undefined)
        width = LANES
        while width > 1:
            width //= 2
            mask = [(i + width) % LANES for i in range(LANES)]
            other = builder.shuffle_vector(vector, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), mask))
            vector = builder.fadd(vector, other)
        return builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    return a.element(a), codegen


# --- register tiles -----------------------------------------------------------------------------------------------
# `rows` and `columns` are dummy tuples, e.g. (0, 0, 0): only their length counts, and it is part of the type.


@intrinsic
def tile_splat(typingctx, array, offset, rows, columns):
    """Return the tile whose column j holds array[offset + j] in every row and lane."""
    tile = Tile(Lanes(array.dtype), len(rows), len(columns))

    def codegen(context, builder, sig, args):
        result = ir.Constant(context.get_value_type(tile), ir.Undefined)
        for j in range(tile.width):
            value = _load_splat(context, builder, sig.args[0], args[0], _step(builder, args[1], _one(args[1]), j))
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
                offset = _step(builder, _step(builder, args[1], args[2], i), args[3], j)
                value = _load(context, builder, sig.args[0], args[0], offset, tile.lanes.number)
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
                offset = _step(builder, _step(builder, args[1], args[2], i), args[3], j)
                value = builder.extract_value(args[4], i * tile.width + j)
                _store(context, builder, sig.args[0], args[0], offset, value)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp, tile), codegen


def _accumulate(splat_right: bool, doc: str) -> Callable[..., Any]:
    """Build tile[i, j] += left[i] * right[j], where right[j] is one number for all lanes or a lane vector."""

    def function(typingctx, tile, left, left_at, left_step, right, right_at, right_step):
        def codegen(context, builder, sig, args):
            result, left_, left_at_, left_step_, right_, right_at_, right_step_ = args
            take, number = _load_splat if splat_right else _load, tile.lanes.number
            rows = [
                _load(context, builder, sig.args[1], left_, _step(builder, left_at_, left_step_, i), number)
                for i in range(tile.height)
            ]
            for j in range(tile.width):
                column = take(context, builder, sig.args[4], right_, _step(builder, right_at_, right_step_, j), number)
                for i in range(tile.height):
                    position = i * tile.width + j
                    value = _fma(builder, rows[i], column, builder.extract_value(result, position))
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
            at = _step(builder, left_at_, ir.Constant(left_at_.type, LANES), j)
            a = _load(context, builder, sig.args[1], left_, at)
            b = _load_splat(context, builder, sig.args[3], right_, _step(builder, right_at_, _one(right_at_), j))
            value = _fma(builder, a, b, builder.extract_value(result, j))
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
            a = _load(context, builder, sig.args[1], left_, _step(builder, left_at_, wide, i))
            for j in range(tile.width):
                at = _step(builder, _step(builder, right_at_, wide, i), right_step_, j)
                b = _load(context, builder, sig.args[3], right_, at)
                position = i * tile.width + j
                value = _fma(builder, a, b, builder.extract_value(result, position))
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
            _load(context, builder, sig.args[3], source_, _step(builder, source_at_, source_step_, j))
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
            _store(context, builder, sig.args[0], target_, _step(builder, at_, step_, lane), v[lane])
        return context.get_dummy_value()

    return types.void(target, types.intp, types.intp, source, types.intp, types.intp), codegen
