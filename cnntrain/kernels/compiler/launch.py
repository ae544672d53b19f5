"""What Python calls of a kernel whose loop became a function of shares (`units.py`): it runs the shares on threads.

    asks        the function, with an empty share, how many units there are
    divides     them: Numba's `get_sched_size` and `do_scheduling_unsigned` give each share a first and a last unit
    runs        Numba's `numba_parallel_for`: the library of threads calls for each share what calls the function

Arguments go to the shares as one struct of all that LLVM's function takes.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.core.callconv import RETCODE_NONE, RETCODE_OK
from numba.core.funcdesc import FunctionDescriptor

_WORD, _CODE, _BYTES = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()
_WORDS, _VOID = _WORD.as_pointer(), ir.VoidType()
_RUN = ir.FunctionType(_VOID, [_BYTES.as_pointer(), _WORDS, _WORDS, _BYTES])  # what a library of threads calls


def described(function: FunctionDescriptor, mangler: Any) -> FunctionDescriptor:
    """Describe what Python calls: as the function of shares, without its last parameter."""
    called = copy(function)
    called.args, called.argtypes = function.args[:-1], function.argtypes[:-1]
    name = f"{function.modname}.{function.qualname}" if function.modname else function.qualname
    called.mangled_name = mangler(name, called.argtypes, abi_tags=function.abi_tags, uid=function.uid)
    return called


def add_launcher(context: Any, library: Any, function: FunctionDescriptor, called: FunctionDescriptor) -> None:
    """Write the function that is called, and what threads run, into a library."""
    module = context.create_module(f"launch.{called.qualname}")
    of_shares = _declared(context, module, function)
    launcher = _declared(context, module, called)
    given = launcher.args[2:]  # behind the places for the result and for an error
    everything = ir.LiteralStructType([*(argument.type for argument in given), _CODE, launcher.args[1].type.pointee])
    run = _write_run(module, of_shares, everything, f"{called.mangled_name}.share")
    builder = ir.IRBuilder(launcher.append_basic_block())
    units = _units_of(context, builder, of_shares, launcher)
    with builder.if_then(builder.icmp_signed(">", units, _WORD(0))):
        state = builder.alloca(everything)
        for i, argument in enumerate(given):
            builder.store(argument, cgutils.gep_inbounds(builder, state, 0, i))
        builder.store(_CODE(0), cgutils.gep_inbounds(builder, state, 0, len(given)))
        _launch(builder, units, run, builder.bitcast(state, _BYTES))
        code = builder.load(cgutils.gep_inbounds(builder, state, 0, len(given)))
        error = builder.load(cgutils.gep_inbounds(builder, state, 0, len(given) + 1))
        with builder.if_then(_failed(builder, code), likely=False):
            builder.store(error, launcher.args[1])
            builder.ret(code)
    context.call_conv.return_value(builder, ir.Constant(launcher.args[0].type.pointee, None))
    library.add_ir_module(module)


def _declared(context: Any, module: Any, function: FunctionDescriptor) -> Any:
    kind = context.call_conv.get_function_type(function.restype, function.argtypes)
    return ir.Function(module, kind, function.llvm_func_name)


def _place(builder: Any, first: Any, end: Any) -> Any:
    place = cgutils.alloca_once(builder, _WORD, size=3)
    for i, value in enumerate((first, end, _WORD(0))):
        builder.store(value, builder.gep(place, [_WORD(i)]))
    return place


def _units_of(context: Any, builder: Any, of_shares: Any, launcher: Any) -> Any:
    """Ask how many units there are; an error before the loop is returned."""
    place = _place(builder, _WORD(0), _WORD(0))
    code = builder.call(of_shares, [*launcher.args, place], attrs=("noinline",))
    with builder.if_then(_failed(builder, code), likely=False):
        builder.ret(code)
    return builder.load(builder.gep(place, [_WORD(2)]))


def _failed(builder: Any, code: Any) -> Any:
    fine = (builder.icmp_signed("==", code, number) for number in (RETCODE_OK, RETCODE_NONE))
    return builder.not_(builder.or_(*fine))


def _write_run(module: Any, of_shares: Any, everything: Any, name: str) -> Any:
    """Write what a thread runs: the function, on the share that its first argument points to; an error is kept."""
    run = ir.Function(module, _RUN, name)
    run.linkage = "internal"
    builder = ir.IRBuilder(run.append_basic_block())
    bounds, state = (builder.load(builder.gep(run.args[0], [_WORD(i)])) for i in range(2))
    bounds, state = builder.bitcast(bounds, _WORDS), builder.bitcast(state, everything.as_pointer())
    first, last = (builder.load(builder.gep(bounds, [_WORD(i)])) for i in range(2))
    *given, code, error = (cgutils.gep_inbounds(builder, state, 0, i) for i in range(len(everything)))
    result = builder.alloca(of_shares.args[0].type.pointee)
    place = _place(builder, first, builder.add(last, _WORD(1)))
    raised = builder.alloca(of_shares.args[1].type.pointee)
    arguments = [result, raised, *map(builder.load, given), place]
    returned = builder.call(of_shares, arguments, attrs=("noinline",))
    with builder.if_then(_failed(builder, returned), likely=False):
        builder.store(returned, code)
        builder.store(builder.load(raised), error)
    builder.ret_void()
    return run


def _launch(builder: Any, units: Any, run: Any, state: Any) -> None:
    """Divide the units into shares and run them; every thread of Numba's may get several."""

    def call(name: str, result: Any, *arguments: Any) -> Any:
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)

    def row(*values: Any) -> Any:
        array = builder.alloca(values[0].type, len(values))
        for i, value in enumerate(values):
            builder.store(value, builder.gep(array, [_WORD(i)]))
        return array

    threads = call("get_num_threads", _WORD)
    first, last = row(_WORD(0)), row(builder.sub(units, _WORD(1)))
    shares = call("get_sched_size", _WORD, threads, _WORD(1), first, last)
    bounds = call("allocate_sched", _WORDS, builder.mul(shares, _WORD(2)))
    call("do_scheduling_unsigned", _WORDS, _WORD(1), first, last, shares, bounds, _WORD(0))
    arguments = row(builder.bitcast(bounds, _BYTES), state)
    steps = row(_WORD(2 * _WORD.width // 8), _WORD(0))  # bytes to the next share
    everything = (run, arguments, row(shares), steps, _BYTES(None))
    call(
        "numba_parallel_for",
        _VOID,
        *(builder.bitcast(each, _BYTES) for each in everything),
        _WORD(0),
        _WORD(2),
        threads,
    )
    call("deallocate_sched", _VOID, bounds)
