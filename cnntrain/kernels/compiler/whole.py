"""Compiling a kernel once, as a whole.

A parallel kernel has parts: the serial functions that it calls, the bodies of its loops, and the functions through
which threads start these. Numba optimises each part and makes machine code of it, as if somebody would call it, then
copies it into the function that uses it and does both again: for an innermost loop up to five times. Here parts have no
machine code of their own, and those around a loop are not optimised either, until the kernel is complete: it becomes as
good in about half the time.

Numba has no public way to do this: with a version that is not known (`versions.py`), nothing here is used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from llvmlite import binding
from numba.core import cgutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import AnalysisPass, register_pass
from numba.core.cpu_options import ParallelOptions
from numba.core.environment import lookup_environment
from numba.core.runtime.nrt import rtsys
from numba.core.targetconfig import ConfigStack
from numba.core.typed_passes import AnnotateTypes, NativeLowering, _reload_parfors

from cnntrain.kernels.compiler import frontend, launch, units

_ENVIRONMENT = "_ZN08NumbaEnv"  # begins the name of the variable with a function's Python objects


class _Part(JITCodeLibrary):
    """A serial function, optimised, for LLVM to copy into others.

    Without being optimised by itself, convolutions of first layers came out up to 3 % slower.
    """

    def add_ir_module(self, module: Any) -> None:
        """Take in what Numba wrote, which is looked at when the whole kernel is complete."""
        parsed = binding.parse_assembly(cgutils.normalize_ir_text(str(module)))
        parsed.name = module.name
        self.add_llvm_module(parsed)

    def add_linking_library(self, library: Any) -> None:
        """Take in another part; what counts references comes into the whole kernel."""
        if library is not rtsys.library:
            super().add_linking_library(library)

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        return 0


class _PlainPart(_Part):
    """A part as Numba wrote it: the body of a parallel loop, what starts it, or a serial function around others.

    Optimising it by itself would optimise all that it calls once more.
    """

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass


class _Whole(JITCodeLibrary):
    """What Numba made of a parallel kernel with all its parts.

    Its own functions are optimised before the parts come in: without that, updates of weights took three times as long.
    """

    def finalize(self) -> None:
        self._own = {variable.name for variable in self._final_module.global_variables}
        super().finalize()  # takes in the parts, and optimises

    def _optimize_final_module(self) -> None:
        for variable in self._final_module.global_variables:
            if variable.name.startswith(_ENVIRONMENT) and variable.name not in self._own:
                variable.linkage = "linkonce_odr"  # to be dropped if nothing uses it: each is made anew at every start
        super()._optimize_final_module()


class _Parts:
    """Numba's code generator, whose libraries are parts: of a loop, unless one is made otherwise."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def create_library(self, name: str) -> _PlainPart:
        return _PlainPart(self, name)

    def set_env(self, name: str, environment: Any) -> None:
        """Leave it to the whole kernel: the variable that would be set here is not in memory yet."""


@register_pass(mutates_CFG=False, analysis_only=True)
class _WholeBegins(AnalysisPass):
    """Before Numba writes a parallel kernel for LLVM: what it makes for the kernel's loops are parts."""

    _name = "whole_begins"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        codegen = state.targetctx.codegen()
        state.library = _Whole(codegen, state.func_id.func_qualname)
        state.library.enable_object_caching()
        state.targetctx._internal_codegen = _Parts(codegen)  # for this kernel only: the context is a copy
        return False


@register_pass(mutates_CFG=False, analysis_only=True)
class _PartBegins(AnalysisPass):
    """Before Numba writes a serial kernel for LLVM: it is a part itself."""

    _name = "part_begins"

    def __init__(self) -> None:
        super().__init__()

    def run_pass(self, state: Any) -> bool:
        state.targetctx._internal_codegen = parts = _Parts(state.targetctx.codegen())
        kind = _PlainPart if state.func_id.func in _plain else _Part
        state.library = kind(parts, state.func_id.func_qualname)
        state.flags.no_cpython_wrapper = True
        return False


def _pipelines(state: Any, begins: Any, lowering: Any = NativeLowering) -> list[Any]:
    manager = frontend.passes(state, lowering)
    manager.add_pass_after(begins, AnnotateTypes)
    manager.finalize()
    return [manager]


@register_pass(mutates_CFG=True, analysis_only=False)
class _Launched(NativeLowering):
    """Write a function of shares for LLVM, and what Python calls."""

    _name = "launched"

    def run_pass(self, state: Any) -> bool:
        state.flags.no_compile = state.flags.no_cpython_wrapper = True
        super().run_pass(state)
        lowered, context, library = state.cr, state.targetctx, state.library
        called = launch.described(lowered.fndesc, context.mangler)
        with context.push_code_library(library):
            launch.add_launcher(context, library, lowered.fndesc, called)
            context.create_cpython_wrapper(library, called, lowered.env, lowered.call_helper, True)
        state.reload_init.append(_reload_parfors)
        if hasattr(library, "_reload_init"):  # younger versions of Numba
            library._reload_init.add(_reload_parfors)
        _reload_parfors()
        function = context.get_executable(library, called, lowered.env)
        context.insert_user_function(function, called, [library])
        state.cr = lowered._replace(fndesc=called, cfunc=function)
        state.args = called.argtypes
        return True


class WholeCompiler(CompilerBase):
    """Compiles a parallel kernel."""

    def define_pipelines(self) -> list[Any]:
        state = self.state
        frontend.read(state)
        loop = units.only_loop(state.func_ir.blocks, arithmetic)
        if loop is None:  # Numba's way
            return _pipelines(state, _WholeBegins)
        units.take_share(state, loop)
        for flags in (state.flags, ConfigStack().top()):  # of this kernel, and of what is compiled on the way
            flags.auto_parallel = ParallelOptions(False)
        return _pipelines(state, _WholeBegins, _Launched)

    def _compile_core(self) -> Any:
        with frontend.no_collection():
            result = super()._compile_core()
        for variable in result.library._final_module.global_variables:
            environment = lookup_environment(variable.name)
            if environment is not None:  # of a part, perhaps
                result.library.codegen.set_env(variable.name, environment)
        return result


class _PartCompiler(CompilerBase):
    """Compiles a serial kernel as a part."""

    def define_pipelines(self) -> list[Any]:
        frontend.read(self.state)
        return _pipelines(self.state, _PartBegins)

    def _compile_core(self) -> Any:
        result = super()._compile_core()
        alone = _alone(self.state.func_id.func)
        self.state.targetctx.insert_user_function(alone, result.fndesc, [result.library])
        return result._replace(entry_point=alone)


arithmetic: list[type] = []  # of objects that a kernel may call to make a number: `shared` of jit.py
_plain: set[Any] = set()  # serial kernels' functions that are not optimised by themselves
_compile: dict[Any, Callable[..., Any]] = {}  # of a serial kernel's function: makes dispatchers of it


@cache
def _alone(function: Any) -> Any:
    """Return the dispatcher for calls of a serial kernel from Python, which compiles it as Numba does."""
    return _compile[function]()


def part(function: Any, compiled_with: Callable[..., Any], *, plain: bool = False) -> Any:
    """Return a dispatcher of a serial kernel's parts; `compiled_with(**options)` returns one of Numba's.

    A `plain` one is not optimised by itself.
    """
    dispatcher = compiled_with(pipeline_class=_PartCompiler)
    if plain:
        _plain.add(function)
    _compile[function] = compiled_with

    def add_overload(result: Any) -> None:
        # not among those that Python's calls find at once: these begin with an address, which a part has not
        dispatcher.overloads[tuple(result.signature.args)] = result

    dispatcher.add_overload = add_overload
    return dispatcher
