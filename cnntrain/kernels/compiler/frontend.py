"""What Numba does with a kernel before LLVM sees it, without what kernels do not need.

- Passes that find nothing in a kernel: closures, `with` blocks, array expressions. Each looks at every line, and after
  it the whole function is analysed anew.
- What Numba does after each pass: it asks which variables live where, and sees that nobody broke a rule. Here that
  happens where the answers are used.
- The types of `a + b`: Numba tries one rule after the other, NumPy's for whole numbers too, each time. Here it is
  remembered what an operator or a function of Numba's own gave for the types of its arguments.
- Python's collector of garbage: it goes through all that Numba has made so far, again and again,
  in a seventh of the time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import errors, ir, types
from numba.core.compiler import DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, PassManager, register_pass
from numba.core.postproc import PostProcessor
from numba.core.transforms import canonicalize_cfg
from numba.core.typed_passes import NativeLowering, NopythonRewrites
from numba.core.untyped_passes import (
    FixupArgs,
    InlineClosureLikes,
    IRProcessing,
    ReconstructSSA,
    TranslateByteCode,
    WithLifting,
)

_ARRAYS = ("binop", "inplace_binop", "unary", "call")  # what an array expression is made of
_CLOSURES = ("make_function", "build_list")  # what closures and comprehensions become


class _Remembering:
    """Numba's rules of types, which remember what they said about Numba's own functions."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def resolve_function_type(self, function: Any, args: Any, kws: Any) -> Any:
        if kws or not isinstance(function, types.Function):
            return self._context.resolve_function_type(function, args, kws)
        key = (id(function), args)
        if key not in _said:
            _said[key] = (function, self._context.resolve_function_type(function, args, kws))
        return _said[key][1]


_said: dict[tuple[int, Any], tuple[Any, Any]] = {}  # the function, which its number belongs to, and its signature


class _Passes(PassManager):
    """Runs passes one after the other, with less between them."""

    def _runPass(self, index: int, step: Any, state: Any) -> None:  # noqa: N802 - as Numba names it
        step.analysis = self._analysis
        changed = False
        with errors.new_error_context("Pass {name}", name=step.name()):  # type: ignore[attr-defined]
            for part in (step.run_initialization, step.run_pass, step.run_finalizer):
                changed |= part(state)
        if type(step) in (IRProcessing, ReconstructSSA):
            PostProcessor(state.func_ir).run()
        elif changed and isinstance(step, FunctionPass):
            state.func_ir.blocks = canonicalize_cfg(state.func_ir.blocks)


@register_pass(mutates_CFG=True, analysis_only=False)
class _Rewrites(NopythonRewrites):
    """Numba's pass that joins array expressions, where there could be any."""

    _name = "rewrites_of_arrays"

    def run_pass(self, state: Any) -> bool:
        if any(_may_be_rewritten(line, state.typemap) for line in _values(state.func_ir)):
            return bool(super().run_pass(state))
        return False


def _may_be_rewritten(line: Any, kinds: dict[str, Any]) -> bool:
    if line.value.op in _ARRAYS:
        return isinstance(kinds[line.target.name], types.ArrayCompatible)
    return line.value.op == "static_getitem" and not isinstance(line.value.index, int)


def _values(function: Any) -> Iterator[Any]:
    """Yield the lines of a function that compute a value."""
    for block in function.blocks.values():
        yield from (line for line in block.find_insts(ir.Assign) if isinstance(line.value, ir.Expr))


def read(state: Any) -> None:
    """Translate a function that is to be compiled into Numba's language; of its types nothing is known yet."""
    for step in (TranslateByteCode, FixupArgs):
        step().run_pass(state)


def passes(state: Any, lowering: Any = NativeLowering) -> Any:
    """Return the passes for a function that was `read`, to be finished; `lowering` in the place of Numba's own."""
    unneeded: set[Any] = set()
    if not any(block.find_insts(ir.EnterWith) for block in state.func_ir.blocks.values()):
        unneeded.add(WithLifting)
    if not state.flags.auto_parallel.enabled and not any(v.value.op in _CLOSURES for v in _values(state.func_ir)):
        unneeded.add(InlineClosureLikes)
    standard = DefaultPassBuilder.define_nopython_pipeline(state)
    manager = standard if state.flags.auto_parallel.enabled else _Passes(standard.pipeline_name)
    exchanged = {NopythonRewrites: _Rewrites, NativeLowering: lowering}
    manager.passes = [(exchanged.get(each, each), what) for each, what in standard.passes if each not in unneeded]
    state.typingctx = _Remembering(state.typingctx)
    return manager


@contextmanager
def no_collection() -> Iterator[None]:
    """Let Python collect no garbage meanwhile."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
