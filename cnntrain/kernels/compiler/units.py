"""A parallel kernel as a function of some of its units, and what starts it on threads.

    def kernel(x, y):                       def kernel(x, y, place):
        size = x.size // 4                      size = x.size // 4
        for index in prange(4):     becomes     for index in range(place[0], place[1]):  # place[2] = 4
            unit(x, y, index, size)                 unit(x, y, index, size)

Numba makes of a `prange` a function of its own, after an analysis of everything that could be parallel, and three more
around it: that takes longer than to compile most kernels. One that is nothing but names for numbers and then one loop
needs none of it. What is before the loop costs little: each thread computes it too, and runs the loop over its share.
Called once with an empty share, the function says how many units there are. Numba's scheduler divides them, and its
library of threads runs them, as it does with loops of Numba's making.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numba
from llvmlite import ir as llvm
from numba.core import cgutils, ir, types
from numba.core.analysis import compute_cfg_from_blocks
from numba.extending import intrinsic

PLACE = types.CPointer(types.intp)  # of a share: its first unit, the one after its last, and how many there are in all
_PARAMETER = "place.of.units"  # no name that a function can have
_WORD = llvm.IntType(64)


@intrinsic
def _units(typingctx, place, number):
    """Return the range of a share's units, and write down how many there are."""

    def codegen(context, builder, sig, args):
        builder.store(context.cast(builder, args[1], number, types.intp), builder.gep(args[0], [_WORD(2)]))
        units = cgutils.create_struct_proxy(sig.return_type)(context, builder)
        units.start, units.stop = (builder.load(builder.gep(args[0], [_WORD(i)])) for i in range(2))
        units.step = _WORD(1)
        return units._getvalue()

    return types.unsigned_range_state64_type(place, number), codegen


def only_loop(blocks: dict[int, Any], pure: list[type]) -> tuple[Any, Any] | None:
    """Return where a function takes `prange` and where it calls it, if it is names for values and then that loop.

    None if it may do something besides: with another parallel loop, something after the loop, or before it what is more
    than to make a value. Functions are called there only if they are classes, Numba's own, or `pure`.
    """
    lines = [(at, line) for at, block in blocks.items() for line in block.body if isinstance(line, ir.Assign)]
    named = [line for _, line in lines if _global(line.value) is numba.prange]
    calls = [(at, line) for at, line in lines if _is_call(line.value) and line.value.func in [n.target for n in named]]
    if len(named) != 1 or len(calls) != 1 or len(calls[0][1].value.args) != 1:
        return None
    (at, call), graph = calls[0], compute_cfg_from_blocks(blocks)
    loops = [loop for loop in graph.loops().values() if loop.entries == {at}]
    if len(loops) != 1 or graph.in_loops(at):
        return None
    after = _reached(graph, loops[0].header) - loops[0].body
    before = set(blocks) - loops[0].body - after
    makers = _Makers(blocks, pure)
    if all(map(makers.ends, _lines(blocks, after))) and all(map(makers.makes, _lines(blocks, before))):
        return named[0], call
    return None


def _reached(graph: Any, label: int) -> set[int]:
    """Return the blocks that may run after another (Numba's `descendents` cannot go around loops in loops)."""
    found: set[int] = set()
    ahead = [label]
    while ahead:
        ahead += (new := {after for after, _ in graph.successors(ahead.pop())} - found)
        found |= new
    return found


def _lines(blocks: dict[int, Any], labels: set[int]) -> Iterator[Any]:
    for label in labels:
        yield from blocks[label].body


def _global(value: Any) -> Any:
    return value.value if isinstance(value, ir.Global | ir.FreeVar) else None


def _is_call(value: Any) -> bool:
    return isinstance(value, ir.Expr) and value.op == "call"


def _read(line: Any) -> list[Any]:
    """Return the variables that a line reads; those that it forgets do not count."""
    value = line.value if isinstance(line, ir.Assign) else line
    if isinstance(value, ir.Var):
        return [value]
    return value.list_vars() if isinstance(value, ir.Inst) and not isinstance(value, ir.Del) else []


class _Makers:
    """Knows the lines of a function that do nothing but make a value, or return None."""

    _VALUES = (
        "binop", "unary", "getattr", "getitem", "static_getitem", "exhaust_iter", "build_tuple", "cast", "phi", "call"
    )  # fmt: skip

    def __init__(self, blocks: dict[int, Any], pure: list[type]) -> None:
        lines = list(_lines(blocks, set(blocks)))
        self._pure = pure
        self._values = {line.target.name: line.value for line in lines if isinstance(line, ir.Assign)}
        self._used = {variable.name for line in lines for variable in _read(line)}

    def ends(self, line: Any) -> bool:
        """Tell whether a line is of those that return None."""
        if not isinstance(line, ir.Assign):
            return isinstance(line, ir.Del | ir.Jump | ir.Return)
        value = line.value
        if isinstance(value, ir.Expr) and value.op == "cast":
            value = self._values.get(value.value.name)
        return isinstance(value, ir.Const) and value.value is None

    def makes(self, line: Any) -> bool:
        """Tell whether a line makes a value for others."""
        if not isinstance(line, ir.Assign):
            return isinstance(line, ir.Del | ir.Jump | ir.Branch)
        if not isinstance(line.value, ir.Expr):
            return isinstance(line.value, ir.Arg | ir.Const | ir.Global | ir.FreeVar | ir.Var)
        if line.value.op != "call":
            return line.value.op in (*self._VALUES, "getiter")
        callee = self._values[line.value.func.name]
        if isinstance(callee, ir.Expr):
            return callee.op == "getattr" and line.target.name in self._used  # np.intp, array.dtype.type
        function = _global(callee)
        kinds = (type, type(len), type(_units), *self._pure)
        return line.target.name in self._used and isinstance(function, kinds)


def take_share(state: Any, loop: tuple[Any, Any]) -> None:
    """Let a function that is being compiled run over a share, whose place is a parameter more than it has."""
    named, call = loop
    function, first = state.func_ir, min(state.func_ir.blocks)
    named.value = ir.Global("units", _units, named.value.loc)
    scope, where = call.target.scope, call.value.loc
    place = ir.Var(scope, _PARAMETER, where)
    scope.localvars.define(_PARAMETER, place)
    assignment = ir.Assign(ir.Arg(_PARAMETER, function.arg_count, where), place, where)
    function.blocks[first].body.insert(0, assignment)
    function._definitions[_PARAMETER].append(assignment.value)
    function._definitions[named.target.name][:] = [named.value]
    call.value.args = [place, *call.value.args]
    function.arg_names = [*function.arg_names, _PARAMETER]
    function.arg_count += 1
    state.args, state.nargs = (*state.args, PLACE), state.nargs + 1
