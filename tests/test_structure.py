"""What holds for the source as a whole: who imports whom, how kernels are compiled, what docstrings say."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

import pytest

from tests.source import Function, imports, modules

GROUND = {
    "printable",
    "hints",
    "errors",
    "settings",
    "randomness",
    "shape",
    "parameters",
    "memory",
    "machine",
    "tables",
    "terminal",
    "__version__",
}
NETWORK = {"kernels", "passes", "functional", "layers", "losses", "initializers", "optimizers", "schedules"}
CONFIG = GROUND | NETWORK | {"extensions", "augmentations", "data", "config"}
USE = {
    "network", "warm_up", "runs", "evaluation", "training", "verify", "explain", "export", "report", "bench", "api",
}  # fmt: skip
# Each part of the package and what it may import beside itself: arrows point one way.
MAY_IMPORT = {
    "printable": set(),
    "errors": {"printable"},
    "streams": set(),
    "interrupts": set(),
    "shape": set(),
    "hints": set(),
    "tables": set(),
    "terminal": set(),
    "settings": {"hints"},
    "randomness": set(),
    "parameters": set(),
    "memory": set(),
    "machine": {"shape"},
    "extensions": {"errors", "layers"},  # finds classes of layers in the user's files
    "processes": {"errors"},
    "kernels": {"shape", "errors"},
    "passes": {"shape", "memory", "machine", "kernels"},
    "functional": GROUND | {"kernels", "passes"},
    "initializers": GROUND,
    "schedules": GROUND,
    "layers": GROUND | {"kernels", "passes", "initializers"},
    "extending": GROUND | {"kernels", "layers", "initializers"},  # imported by the users' files alone
    "losses": GROUND | {"kernels", "passes"},
    "optimizers": GROUND | {"kernels", "passes"},
    "augmentations": GROUND | {"kernels"},
    "data": GROUND | {"augmentations"},
    "config": GROUND | NETWORK | {"extensions", "data", "augmentations"},
    "network": GROUND | {"kernels", "passes", "layers", "losses"},
    "runs": CONFIG | {"streams"},
    "evaluation": CONFIG | {"network", "runs", "processes"},
    "warm_up": GROUND | {"kernels", "passes", "layers", "network"},
    "training": CONFIG | {"network", "warm_up", "runs", "evaluation", "processes", "interrupts"},
    "verify": CONFIG | {"network", "runs", "evaluation"},
    "explain": CONFIG | {"network", "runs", "evaluation", "verify"},
    "export": CONFIG | {"network", "runs", "evaluation", "training"},
    "report": CONFIG | {"network", "runs", "evaluation"},
    "bench": CONFIG | {"network", "warm_up", "runs", "evaluation"},
    "api": CONFIG | {"network", "runs", "evaluation", "training", "export"},
    "cli": CONFIG | USE | {"processes", "streams", "interrupts"},
    "__main__": {"cli", "interrupts", "processes"},
    "cnntrain": {"extensions", "api"},  # offered at the top, imported when used
}
KERNELS = {"kernel", "inlined_kernel", "outer_kernel", "parallel_kernel"}
COMPILERS = {"njit", "jit", "vectorize", "guvectorize", "stencil", "cfunc", "jitclass"}


def part_of(module: str) -> str:
    """Return the part of the package that a module belongs to."""
    return module.split(".")[1] if "." in module else module


def test_every_part_of_the_package_has_its_place() -> None:
    assert {part_of(module) for module in modules()} == set(MAY_IMPORT)


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_point_one_way(part: str) -> None:
    wrong = [
        f"{module} imports {imported}"
        for module, tree in modules().items()
        if part_of(module) == part
        for imported in imports(tree)
        if imported.startswith("cnntrain.") and part_of(imported) not in MAY_IMPORT[part] | {part}
    ]
    assert wrong == []


def test_no_two_parts_import_each_other() -> None:
    """The table above has no cycle but the one that extensions make, which are loaded late."""
    order: list[str] = []
    waiting = {part: allowed - {"extensions", "__version__"} for part, allowed in MAY_IMPORT.items()}
    while ready := [part for part, allowed in waiting.items() if allowed <= set(order)]:
        order += ready
        for part in ready:
            del waiting[part]
    assert waiting == {}


def files_imported(tree: ast.Module, anywhere: bool) -> set[str]:
    """Return the modules of the package that a module imports: where it is loaded, for its types, or `anywhere`."""
    inside = {node for outer in ast.walk(tree) if isinstance(outer, Function) for node in ast.walk(outer)}
    found = set()
    for node in ast.walk(tree):
        if node in inside and not anywhere:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:  # a name of a package may be a module in it
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules() else str(node.module))
    return found & set(modules())


def circles(graph: dict[str, set[str]]) -> set[str]:
    """Return the nodes that no order can put behind all that they point to."""
    waiting = dict(graph)
    done: set[str] = set()
    while ready := [node for node, targets in waiting.items() if targets <= done]:
        done.update(ready)
        for node in ready:
            del waiting[node]
    return set(waiting)


def test_no_file_imports_a_file_that_imports_it() -> None:
    """Not even by way of others, nor for its types. Inside functions it may, but not in layers/."""
    graph = {module: files_imported(tree, anywhere=False) for module, tree in modules().items()}
    assert graph["cnntrain.layers.conv2d"] > {"cnntrain.layers.base", "cnntrain.passes.convolution"}
    assert circles(graph) == set()
    layers = {
        module: {name for name in files_imported(tree, anywhere=True) if part_of(name) == "layers"}
        for module, tree in modules().items()
        if part_of(module) == "layers"
    }
    assert circles(layers) == set()


def test_the_finder_of_circles() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": set(), "d": {"a", "e"}, "e": {"d"}, "f": {"e"}}) == {"d", "e", "f"}


def test_kernels_stand_on_numba_and_numpy_alone() -> None:
    wrong = [
        f"{module} imports {imported}"
        for module, tree in modules().items()
        if part_of(module) == "kernels"
        for imported in imports(tree)
        if imported.partition(".")[0] not in {"numba", "numpy", "llvmlite", *sys.stdlib_module_names}
        and not (part_of(imported) == "kernels" or imported == "cnntrain.shape" or ".compiler." in module)
    ]
    assert wrong == []


def test_numba_compiles_through_our_two_decorators_only() -> None:
    """Another decorator would have other flags, and a cache that does not notice edits of other kernel files."""
    found = [
        f"{module}:{node.lineno} {ast.unparse(node)}"
        for module, tree in modules().items()
        if module != "cnntrain.kernels.compiler.jit"
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in COMPILERS and ast.unparse(node.value) == "numba")
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("numba") and names(node) & COMPILERS)
    ]
    assert found == []


def names(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}


def decorators(function: Function) -> set[str]:
    return {ast.unparse(decorator) for decorator in function.decorator_list}


def kernel_functions() -> Iterator[tuple[str, Function]]:
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and decorators(node) & KERNELS:
                yield f"{module}.{node.name}", node


def test_only_parallel_kernels_have_parallel_loops() -> None:
    functions = dict(kernel_functions())
    assert len(functions) > 50
    for name, function in functions.items():
        loops = [
            node for node in ast.walk(function) if isinstance(node, ast.For) and "prange(" in ast.unparse(node.iter)
        ]
        assert bool(loops) == ("parallel_kernel" in decorators(function)), name


def test_the_index_of_a_parallel_loop_is_signed_before_it_is_used() -> None:
    """It may be unsigned: functions that are called with it compile twice, and with signed numbers it makes doubles."""
    for name, function in kernel_functions():
        for loop in ast.walk(function):
            if isinstance(loop, ast.For) and "prange(" in ast.unparse(loop.iter):
                index = ast.unparse(loop.target)
                uses = [node for node in ast.walk(loop) if isinstance(node, ast.Name) and node.id == index]
                casts = [
                    node
                    for node in ast.walk(loop)
                    if isinstance(node, ast.Call) and ast.unparse(node) == f"np.intp({index})"
                ]
                assert len(uses) == 1 + len(casts), f"{name}: {index} is used without np.intp"


def test_no_function_of_the_kernels_takes_more_than_nine_parameters() -> None:
    """Named tuples hold what belongs together: a place, a share of the work, a set of arrays."""
    found = [
        f"{module}.{node.name}: {len(parameters(node))}"
        for module, tree in modules().items()
        if part_of(module) == "kernels"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and len(parameters(node)) > 9
    ]
    assert found == []


SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}$", re.MULTILINE)


def documented(docstring: str) -> list[str] | None:
    """Return the names in the section Parameters; None if there is none."""
    parts = SECTION.split(docstring)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    if "Parameters" not in sections:
        return None
    lines = [line for line in sections["Parameters"].splitlines() if line and not line.startswith(" ")]
    return [name.strip(" *") for line in lines for name in line.partition(" : ")[0].split(",")]


def documented_functions() -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (name, parameters of the signature, documented parameters)."""
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            found = documented(ast.get_docstring(node) or "")
            if found is not None:
                yield f"{module}.{node.name}", parameters(node), found


def parameters(node: Function | ast.ClassDef) -> list[str]:
    """Return the names of a function's parameters, or of what a class is made with."""
    if isinstance(node, ast.ClassDef):
        makers = [inner for inner in node.body if isinstance(inner, ast.FunctionDef) and inner.name == "__init__"]
        if not makers:
            return [ast.unparse(field.target) for field in node.body if isinstance(field, ast.AnnAssign)]
        node = makers[0]
    a = node.args
    found = [*a.posonlyargs, *a.args, *([a.vararg] if a.vararg else []), *a.kwonlyargs, *([a.kwarg] if a.kwarg else [])]
    return [argument.arg for argument in found if argument.arg not in ("self", "cls")]


def test_documented_parameters_are_those_of_the_signature() -> None:
    functions = list(documented_functions())
    assert len(functions) > 60
    wrong = [
        f"{name}: documented {found}, signature {signature}"
        for name, signature, found in functions
        if not name.startswith("cnntrain.kernels.") and sorted(found) != sorted(signature)
    ]
    assert wrong == []


def test_kernels_document_no_parameter_that_they_do_not_have() -> None:
    """In kernels, what the file's head explains need not be repeated."""
    functions = [found for found in documented_functions() if found[0].startswith("cnntrain.kernels.")]
    assert functions
    for name, signature, found in functions:
        assert set(found) <= set(signature), name


def test_the_reader_of_docstrings() -> None:
    text = "Do.\n\nParameters\n----------\na, b : int\n    What: they are.\n*rest\n\nReturns\n-------\nint\n    It."
    assert documented(text) == ["a", "b", "rest"]
    assert documented("Do.\n\nReturns\n-------\nint") is None


def test_no_file_is_empty_of_words() -> None:
    """Every module says in its docstring what it is about."""
    assert [module for module, tree in modules().items() if not ast.get_docstring(tree)] == []
