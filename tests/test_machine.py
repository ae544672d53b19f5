"""What is known of a processor's registers, and how this machine's are found."""

from __future__ import annotations

import numpy as np
import pytest
from llvmlite import binding

from cnntrain.machine import AVX2, AVX512, NEON, Machine, this_machine


@pytest.mark.parametrize(
    ("machine", "wide", "accumulators", "tall", "lanes"),
    [(AVX2, False, 6, 6, (8, 4)), (AVX512, True, 24, 8, (16, 8)), (NEON, False, 6, 6, (4, 2))],
    ids=["avx2", "avx512", "neon"],
)
def test_registers(machine: Machine, wide: bool, accumulators: int, tall: int, lanes: tuple[int, int]) -> None:
    assert (machine.wide, machine.accumulators) == (wide, accumulators)
    assert (machine.tile_height, machine.tall_tile_height) == (6, tall)
    assert (machine.register_lanes(np.float32), machine.register_lanes(np.float64)) == lanes


def test_two_blocks_share_a_tile_where_a_lane_vector_is_one_register() -> None:
    assert [AVX512.side_by_side(blocks, np.float32) for blocks in (1, 2, 3)] == [1, 2, 2]
    assert [AVX512.side_by_side(blocks, np.float64) for blocks in (1, 2, 3)] == [1, 1, 1]
    assert [machine.side_by_side(8, np.float32) for machine in (AVX2, NEON)] == [1, 1]


def test_buffers_hold_whole_tiles() -> None:
    images = [1, 16, 17, 32, 33, 64, 65]
    assert [AVX2.capacity(number, np.float32) for number in images] == [1, 1, 2, 2, 3, 4, 5]
    assert [AVX512.capacity(number, np.float32) for number in images] == [1, 1, 2, 2, 4, 4, 6]
    assert [AVX512.capacity(number, np.float64) for number in images] == [1, 1, 2, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("name", "features", "expected"),
    [
        (None, "+avx,+avx2,+fma", AVX2),
        (None, "+avx2,+avx512f,+avx512bw", AVX512),
        (None, "+avx2,-avx512f", AVX2),
        (None, "", AVX2),
        ("generic", None, AVX2),
        ("Generic", None, AVX2),
        ("generic", "+avx512f", AVX512),
        ("znver4", "+avx2", AVX2),
        (None, None, AVX512),
        ("znver4", None, AVX512),
    ],
)
def test_numba_s_environment_says_what_there_is(
    monkeypatch: pytest.MonkeyPatch, name: str | None, features: str | None, expected: Machine
) -> None:
    """Where it says nothing, the processor is asked: here one with 512-bit registers."""
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: {"avx2": True, "avx512f": True})
    for variable, value in (("NUMBA_CPU_NAME", name), ("NUMBA_CPU_FEATURES", features)):
        if value is None:
            monkeypatch.delenv(variable, raising=False)
        else:
            monkeypatch.setenv(variable, value)
    assert this_machine.__wrapped__() == expected


@pytest.mark.parametrize("features", [{"avx2": True, "avx512f": False}, {}])
def test_a_processor_without_wide_registers(monkeypatch: pytest.MonkeyPatch, features: dict[str, bool]) -> None:
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    monkeypatch.setattr(binding, "get_host_cpu_features", lambda: features)
    monkeypatch.delenv("NUMBA_CPU_NAME", raising=False)
    monkeypatch.delenv("NUMBA_CPU_FEATURES", raising=False)
    assert this_machine.__wrapped__() == AVX2


@pytest.mark.parametrize("name", ["aarch64", "arm64"])
def test_arm(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("platform.machine", lambda: name)
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+avx512f")
    assert this_machine.__wrapped__() == NEON
