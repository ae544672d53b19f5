"""Reading x86 machine code as LLVM prints it (AT&T syntax)."""

from __future__ import annotations

import re

_LABEL = re.compile(r"^(\.L\w+):")
_JUMP = re.compile(r"^\s+j\w+\s+(\.L\w+)$")
_STACK = re.compile(r"\(%rsp\b")
_VECTOR = re.compile(r"%[xyz]mm\d")
_MULTIPLY_ADD = re.compile(r"^\s+vfn?m(add|sub)\d+[ps][sd]\b")
_DOUBLE = re.compile(
    r"^\s+(vcvt\w*2[sp]d|vcvt[sp]d2\w*|v(add|sub|mul|div|sqrt|min|max|round\w*|fn?m(add|sub)\d+)[sp]d)\b"
)


def inner_loops(assembly: str) -> list[list[str]]:
    """Return the innermost loops: from a label to the last jump back to it, with no such loop inside."""
    lines = assembly.splitlines()
    labels = {match[1]: number for number, line in enumerate(lines) if (match := _LABEL.match(line))}
    ends: dict[int, int] = {}
    for number, line in enumerate(lines):
        match = _JUMP.match(line)
        if match and labels.get(match[1], number) < number:
            ends[labels[match[1]]] = number
    return [lines[begin : end + 1] for begin, end in ends.items() if not any(begin < other <= end for other in ends)]


def multiply_adds(lines: list[str]) -> int:
    """Count fused multiply-adds."""
    return sum(bool(_MULTIPLY_ADD.match(line)) for line in lines)


def spills(lines: list[str]) -> list[str]:
    """Return the instructions that move vector registers to or from the stack."""
    return [line.strip() for line in lines if _VECTOR.search(line) and _STACK.search(line)]


def double_precision(assembly: str) -> list[str]:
    """Return the instructions that compute in double precision, or convert to or from it; moves do not count."""
    return [line.strip() for line in assembly.splitlines() if _DOUBLE.match(line)]
