"""The machine code of the inner loops: accumulators stay in registers, and float32 kernels compute in float32.

What a few more cycles in such a loop cost is measured elsewhere; here is only what must never happen.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from llvmlite import binding

from tests.kernels.machine_code import double_precision, inner_loops, multiply_adds, spills

AVX2 = {
    "NUMBA_CPU_NAME": "znver3",
    "NUMBA_CPU_FEATURES": "+avx2,+avx,+fma,+sse4.2,+sse4.1,+ssse3,+sse3,+popcnt,+bmi,+bmi2,+f16c",
}
WINOGRAD = ["add_patches", "weights_by_patches"]
WIDE = bool(binding.get_host_cpu_features().get("avx512f"))
# Runs every pass of the layers once, and gives the machine code of all kernels that were compiled for it.
PROGRAM = """
import json, sys
import numpy as np
from numba.core.dispatcher import Dispatcher
from cnntrain import functional as F
from cnntrain.passes.convolution import Convolution
from cnntrain.passes.problem import ConvolutionGeometry, Window, pooling_axis
from cnntrain.passes.pooled_convolution import PooledPasses
from cnntrain.passes.pooling import MaxPooling

def draw(*shape):
    return np.ones(shape, np.float32)

for name in sys.argv[1].split():
    if name == "conv2d":
        x, w = draw(20, 10, 7, 7), draw(11, 10, 3, 3)
    elif name == "winograd":
        x, w = draw(20, 17, 17, 17), draw(32, 17, 3, 3)
        F.conv2d_backward(F.conv2d(x, w), x, w)
    elif name == "large":  # patches of 8x8
        x, w = draw(20, 20, 12, 12), draw(32, 20, 5, 5)
        F.conv2d_backward(F.conv2d(x, w), x, w)
    elif name == "dense":
        x, w, b = draw(20, 70), draw(23, 70), draw(23)
        F.dense_backward(F.dense(x, w, b), x, w)
        continue
    elif name == "first":  # few positions in a row: the weight gradient sums over lanes; alone, and with a max-pooling
        passes = Convolution(ConvolutionGeometry(1, 6, Window(12, 5), Window(12, 5)), 2, np.dtype(np.float32))
        axis = pooling_axis(8, 2, 2, 0, False)
        together = PooledPasses(passes, MaxPooling(6, axis, axis))
        x, z, y, w, b = draw(2 * 144 * 16), draw(2 * 384 * 16), draw(2 * 96 * 16), draw(150), draw(6)
        passes.forward(x, w, b, z, 2)
        passes.backward_weight(x, z, w, b, 2)
        mask = np.zeros(y.size, np.int16)
        together.forward(x, w, b, y, mask, 2)
        together.backward_weight(x, y, mask, w, b, 2)
        continue
    elif name == "tanh":
        F.tanh_backward(draw(20, 3), F.tanh(draw(20, 3)))
        continue
    F.conv2d_backward(F.conv2d(x, w, draw(len(w)), padding=1), x, w, padding=1)

code, parts = {}, {}
for name, module in list(sys.modules.items()):
    if name.startswith("cnntrain.kernels."):
        for value in vars(module).values():
            if isinstance(value, Dispatcher) and value.targetoptions.get("parallel"):
                assert not value.stats.cache_hits  # code from the cache cannot be read
                code[value.py_func.__name__] = list(value.inspect_asm().values())
            elif isinstance(value, Dispatcher):
                parts[value.py_func.__name__] = list(value.inspect_llvm().values())
print(json.dumps([{name: texts for name, texts in found.items() if texts} for found in (code, parts)]))
"""

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or not binding.get_host_cpu_features().get("fma"),
    reason="reads x86 machine code with fused multiply-adds (AVX2 or AVX-512), which this processor does not have",
)


Texts = dict[str, list[str]]  # of each kernel, one for each combination of types


def compiled(layers: str, folder: Path, target: dict[str, str]) -> tuple[Texts, Texts]:
    """Machine code of the parallel kernels, and LLVM's language of the serial ones, which are parts of these."""
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, layers],
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder), **target},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    code, parts = json.loads(finished.stdout)
    return code, parts


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> tuple[Texts, Texts]:
    """Kernels as compiled for this processor."""
    return compiled("first conv2d winograd dense tanh", tmp_path_factory.mktemp("own"), {})


@pytest.fixture(scope="module")
def own_code(own: tuple[Texts, Texts]) -> Texts:
    """Machine code for this processor."""
    return own[0]


@pytest.fixture(scope="module")
def avx2_code(tmp_path_factory: pytest.TempPathFactory) -> Texts:
    """Machine code for a processor with 16 registers of 256 bits."""
    return compiled("first conv2d large", tmp_path_factory.mktemp("avx2"), AVX2)[0]


def loops_of(code: Texts, kernel: str, register: str) -> list[list[str]]:
    """Loops of products; those with additions are Winograd's transforms, which have more values than registers."""
    loops = [
        loop
        for text in code[kernel]
        for loop in inner_loops(text)
        if multiply_adds(loop) >= 6 and not any("vaddp" in line or "vsubp" in line for line in loop)
    ]
    assert loops, f"{kernel} has no loop of multiply-adds: this test no longer finds what it shall watch"
    assert any(f"%{register}" in line for loop in loops for line in loop)
    return loops


@pytest.mark.parametrize(
    "kernel",
    [
        "correlate",
        "correlate_and_pool",
        "multiply",
        "by_lanes",
        "by_positions",
        "correlate_rows" if WIDE else "correlate_patches",
        *WINOGRAD,
    ],
)
def test_accumulators_stay_in_registers(own_code: Texts, kernel: str) -> None:
    """On whatever this is; a few moves per unrolled loop are none of accumulators, but of weights loaded far ahead.

    LLVM does that where it has 32 registers, and they cost nothing beside so many multiply-adds.
    """
    for loop in loops_of(own_code, kernel, "zmm" if WIDE else "ymm"):
        text = "\n".join(loop)
        assert len(spills(loop)) <= multiply_adds(loop) / 8, f"{kernel} keeps too much on the stack:\n{text}"


@pytest.mark.parametrize(
    "kernel", ["correlate", "correlate_and_pool", "by_lanes", "by_positions", "correlate_patches", *WINOGRAD]
)
def test_accumulators_stay_in_registers_with_avx2(avx2_code: Texts, kernel: str) -> None:
    assert not any("%zmm" in text for text in avx2_code[kernel])
    for loop in loops_of(avx2_code, kernel, "ymm"):
        text = "\n".join(loop)
        assert spills(loop) == [], f"{kernel} moves vectors to the stack and back in its inner loop:\n{text}"


def test_inner_loops_do_not_count_references_to_arrays(own: tuple[Texts, Texts]) -> None:
    """Counting is atomic, and takes all vectors out of their registers: a third of the time of some transforms."""
    _, parts = own
    assert len(parts) > 30
    assert [name for name, texts in parts.items() for text in texts if "NRT_" in text] == []


def test_float32_kernels_compute_in_float32(own_code: Texts) -> None:
    assert {
        "correlate",
        "correlate_and_pool",
        *WINOGRAD,
        "multiply",
        "by_lanes",
        "by_positions",
        "add_slots",
        "bias_gradient",
        "tanh",
    } <= set(own_code)
    found = {name: double_precision(text) for name, texts in own_code.items() for text in texts}
    assert {name: lines for name, lines in found.items() if lines} == {}


SAMPLE = """
outer:
.LBB0_1:
	vmovups	%ymm0, 32(%rsp)
	movq	8(%rsp), %rax
.LBB0_2:
	vbroadcastss	(%rsi), %ymm2
	vfmadd231ps	%ymm2, %ymm1, %ymm0
	vfmadd231ps	64(%rsp), %ymm1, %ymm3
	movq	16(%rsp), %rcx
	testq	%rax, %rax
	je	.LBB0_3
	vfmadd213ps	(%rdi), %ymm1, %ymm3
.LBB0_3:
	jne	.LBB0_2
	jmp	.LBB0_1
	vcvtss2sd	%xmm0, %xmm0, %xmm0
	vmulsd	%xmm0, %xmm0, %xmm0
	vfmadd231pd	%ymm0, %ymm0, %ymm0
	vmovupd	%ymm0, (%rdi)
	vxorpd	%xmm0, %xmm0, %xmm0
	vmulps	%ymm0, %ymm0, %ymm0
"""


def test_the_reader_of_machine_code() -> None:
    (loop,) = inner_loops(SAMPLE)
    assert (loop[0], loop[-1]) == (".LBB0_2:", "\tjne\t.LBB0_2")
    assert multiply_adds(loop) == 3
    assert spills(loop) == ["vfmadd231ps\t64(%rsp), %ymm1, %ymm3"]
    assert [line.split()[0] for line in double_precision(SAMPLE)] == ["vcvtss2sd", "vmulsd", "vfmadd231pd"]
