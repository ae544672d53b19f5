"""Operators and functions on lane vectors, lane by lane; those on numbers take tiles too, vector by vector."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic

from cnntrain.kernels.lanes.codegen import (
    broadcast,
    call,
    element_of,
    fused,
    joined,
    load_number,
    load_vector,
    store_vector,
    suffix,
    vectors_of,
)
from cnntrain.kernels.lanes.types import Lanes, Memory, Tile, element_ir
from cnntrain.shape import LANES


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
        pairs = zip(*(vectors_of(builder, sig.return_type, tile) for tile in args), strict=True)
        return joined(context, builder, sig.return_type, [getattr(builder, floating)(a, b) for a, b in pairs])


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
def memory(typingctx, array):
    """Return where the numbers of a flat array are: loads and stores take it like the array."""

    def codegen(context, builder, sig, args):
        parts = cgutils.create_struct_proxy(sig.args[0])(context, builder, value=args[0])
        result = cgutils.create_struct_proxy(sig.return_type)(context, builder)
        result.data, result.nitems = parts.data, parts.nitems
        return result._getvalue()

    return Memory(array.dtype)(array), codegen


@intrinsic
def load(typingctx, array, offset):
    """Return the lane vector array[offset : offset + 16]."""

    def codegen(context, builder, sig, args):
        return load_vector(context, builder, sig.args[0], args[0], args[1])

    return Lanes(array.dtype)(array, types.intp), codegen


@intrinsic
def store(typingctx, array, offset, value):
    """Write a lane vector to array[offset : offset + 16]."""

    def codegen(context, builder, sig, args):
        store_vector(context, builder, sig.args[0], args[0], args[1], args[2])
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
        kind = ir.VectorType(element_ir(target), LANES)
        if isinstance(source, types.Float):
            return (builder.fptrunc if source.bitwidth > target.bitwidth else builder.fpext)(args[0], kind)
        return (builder.sitofp if source.signed else builder.uitofp)(args[0], kind)

    return Lanes(target)(a, like), codegen


@intrinsic
def splat(typingctx, scalar):
    """Put one number into every lane."""

    def codegen(context, builder, sig, args):
        return broadcast(builder, args[0])

    return Lanes(scalar)(scalar), codegen


@intrinsic
def splat_at(typingctx, array, offset):
    """Put the number array[offset] into every lane."""

    def codegen(context, builder, sig, args):
        return load_number(context, builder, sig.args[0], args[0], args[1])

    return Lanes(array.dtype)(array, types.intp), codegen


@intrinsic
def constant(typingctx, like, number):
    """Put `number` (any scalar) into every lane of a vector like `like`: a lane vector, a tile, or an array of such."""
    element = element_of(like)
    kind = like if isinstance(like, Tile) else Lanes(element)

    def codegen(context, builder, sig, args):
        vector = broadcast(builder, context.cast(builder, args[1], sig.args[1], element))
        size = kind.height * kind.width if isinstance(kind, Tile) else 1
        return joined(context, builder, kind, [vector] * size)

    return kind(like, number), codegen


@intrinsic
def fma(typingctx, a, b, c):
    """Return a * b + c, rounded once."""

    def codegen(context, builder, sig, args):
        vectors = zip(*(vectors_of(builder, a, arg) for arg in args), strict=True)
        return joined(context, builder, a, [fused(builder, *each) for each in vectors])

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
            return call(builder, f"llvm.{name}.{suffix(args[0].type)}", args[0].type, [args[0]])

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
