"""How an algorithm is chosen from a list, and what those of the package refuse, in words, on each machine."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from cnntrain.machine import AVX2, AVX512, NEON, Machine
from cnntrain.passes.algorithm import Algorithm, choose
from cnntrain.passes.convolution import ALGORITHMS, Choices, Convolution, choices_of, problems_of
from cnntrain.passes.problem import Direction, Problem
from tests.functional.arrays import Case
from tests.passes.convolutions import geometry_of

MACHINES = {"avx2": AVX2, "avx512": AVX512, "neon": NEON}
FLOAT = np.dtype(np.float32)


class Never(Algorithm):
    name = "never"

    def __init__(self, problem: Problem) -> None:
        raise AssertionError("what cannot compute a problem is not made")

    @classmethod
    def cannot(cls, problem: Problem) -> str | None:
        return "too hard"


class Slow(Algorithm):
    name = "slow"

    def __init__(self, problem: Problem) -> None: ...

    @classmethod
    def slower(cls, problem: Problem) -> str | None:
        return f"{problem.blocks} blocks are too many"


class Anything(Algorithm):
    name = "anything"

    def __init__(self, problem: Problem) -> None: ...


class Unasked(Anything):
    name = "unasked"

    @classmethod
    def refuses(cls, problem: Problem) -> str | None:
        raise AssertionError("whoever comes behind the one that is taken is not asked")


def problem(direction: Direction = "forward") -> Problem:
    return problems_of(geometry_of(Case(2, 3, (8, 8), 4, (3, 3))), 2, FLOAT, AVX2)[direction]


def test_the_first_that_does_not_refuse() -> None:
    chosen = choose([Never, Slow, Anything, Unasked], problem())
    assert chosen.algorithm is Anything
    assert chosen.refusals == {"never": "too hard", "slow": "2 blocks are too many"}
    assert str(chosen) == "anything; not never: too hard; not slow: 2 blocks are too many"
    assert choose([Anything, Never], problem()).refusals == {}


def test_one_by_name_whatever_it_costs() -> None:
    chosen = choose([Never, Slow, Anything], problem(), "slow")
    assert (chosen.algorithm, chosen.refusals) == (Slow, {"never": "only slow is asked for"})


@pytest.mark.parametrize(
    ("only", "reason"),
    [
        ("never", "'never': 'too hard'"),
        ("unknown", "'anything': 'only unknown is asked for'"),
    ],
)
def test_one_that_there_is_not_or_that_cannot(only: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"no algorithm to input: .*{reason}"):
        choose([Never, Slow, Anything], problem("to input"), only)


def test_nobody_takes_it() -> None:
    with pytest.raises(ValueError, match="no algorithm forward: {'never': 'too hard'}"):
        choose([Never], problem())


CASES = [
    Case(2, 1, (1, 1), 1, (1, 1)),
    Case(2, 4, (9, 7), 6, (3, 2), stride=(2, 3), padding=2, dilation=2, groups=2, mode="convolution"),
    Case(2, 3, (5, 5), 3, (3, 3), groups=3),
    Case(2, 64, (32, 32), 64, (5, 5), padding=2),
]


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_the_last_of_each_list_takes_everything(machine: Machine) -> None:
    for case in CASES:
        for direction, found in problems_of(geometry_of(case), 2, FLOAT, machine).items():
            last = ALGORITHMS[direction][-1]
            assert last.refuses(found) is None


def test_names_are_distinct() -> None:
    for algorithms in ALGORITHMS.values():
        names = [algorithm.name for algorithm in algorithms]
        assert len(set(names)) == len(names)


def choices(case: Case, machine: Machine) -> Choices:
    return choices_of(problems_of(geometry_of(case), 2, FLOAT, machine), {})


def words(case: Case, machine: str) -> list[str]:
    """What is said of the three passes, but for depthwise convolutions where this is none, and for 8x8 patches."""
    nothing = "; not (depthwise|winograd( transposed)? 8x8): [^;]*"
    return [re.sub(nothing, "", str(chosen)) for chosen in choices(case, MACHINES[machine])]


FEW_REGISTERS = "not winograd rows: 16 registers of 32 bytes are too few"
SMALL_REGISTERS = "not winograd rows: 32 registers of 16 bytes are too few"
ROWS = "not winograd patches: rows suit this machine better"
# LeNet-5's first layer: 107,736 multiply-adds, runs of 5 positions on 28 pixels.
LENET = Case(2, 1, (28, 28), 6, (5, 5), padding=2)
BY_LANES = "by lanes; not winograd: 6 filters do not fill a vector of 16"
# ResNet-20's first, on 64 patches: 94^2 48 = 424,128 multiply-adds; forward by rows they take the time of
# 64 (36 3 16 + 300 3 + 220 16) = 393,472, more than 0.85 of it. To the input by rows that of
# 64 (36 16 3 + 300 16 + 220 3) = 460,032, by patches that of 64 (36 16 3 + 340 16 + 200 3) = 497,152.
RESNET = Case(2, 3, (32, 32), 16, (3, 3), padding=1)
SAME_PATCHES = "not winograd transposed: the delta has 64 patches, the image 64"
FEW_WEIGHTS = "by lanes; not winograd: too few channels to pay for transforms: 3"


@pytest.mark.parametrize(
    ("case", "machine", "expected"),
    [
        (LENET, "avx2", [
            f"direct; {FEW_REGISTERS}; not winograd patches: too few channels to pay for transforms: 1",
            "direct; not winograd transposed: the delta has 196 patches, the image 196; "
            f"{FEW_REGISTERS}; not winograd patches: 107,736 multiply-adds per image, too few to be worth compiling it",
            BY_LANES]),
        (LENET, "avx512", [
            f"direct; not winograd rows: 107,736 multiply-adds per image, too few to be worth compiling it; {ROWS}",
            "direct; not winograd transposed: the delta has 196 patches, the image 196; "
            f"not winograd rows: 107,736 multiply-adds per image, too few to be worth compiling it; {ROWS}",
            BY_LANES]),
        (RESNET, "avx2", [
            f"direct; {FEW_REGISTERS}; not winograd patches: too few channels to pay for transforms: 3",
            f"direct; {SAME_PATCHES}; {FEW_REGISTERS}; not winograd patches: direct takes 0.85 of the time",
            FEW_WEIGHTS]),
        (RESNET, "avx512", [
            f"direct; not winograd rows: direct takes 1.08 of the time, and 1.18 would be worth it; {ROWS}",
            f"direct; {SAME_PATCHES}; not winograd rows: direct takes 0.92 of the time; {ROWS}",
            FEW_WEIGHTS]),
        (RESNET, "neon", [
            f"direct; {SMALL_REGISTERS}; not winograd patches: too few channels to pay for transforms: 3",
            f"direct; {SAME_PATCHES}; {SMALL_REGISTERS}; not winograd patches: direct takes 0.85 of the time",
            FEW_WEIGHTS]),
        (Case(2, 32, (16, 16), 32, (3, 3), padding=1), "neon", [
            f"winograd patches; {SMALL_REGISTERS}",
            f"winograd patches; not winograd transposed: the delta has 16 patches, the image 16; {SMALL_REGISTERS}",
            "winograd"]),
    ],
    ids=["lenet-avx2", "lenet-avx512", "resnet-avx2", "resnet-avx512", "resnet-neon", "wide-neon"],
)  # fmt: skip
def test_reasons(case: Case, machine: str, expected: list[str]) -> None:
    assert words(case, machine) == expected


WIDE = Case(2, 32, (16, 16), 32, (3, 3), padding=1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"stride": 2}, "stride 2"),
        ({"stride": (1, 3)}, "stride 3"),
        ({"dilation": (2, 1)}, "dilation 2"),
        ({"kernel_size": (7, 7)}, "7x7 taps, not 3x3 or 5x5"),
        ({"kernel_size": (3, 5)}, "3x5 taps, not 3x3 or 5x5"),
        ({"groups": 2}, "2 groups"),
    ],
)
@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_what_winograd_s_algorithms_cannot(changes: dict[str, Any], reason: str, machine: Machine) -> None:
    case = WIDE._replace(**changes)
    forward, to_input, to_weights = choices(case, machine)
    assert (forward.algorithm.name, to_input.algorithm.name) == ("direct", "direct")
    found = [forward.refusals[f"winograd {name}"] for name in ("rows", "patches")]
    found += [to_input.refusals[f"winograd {name}"] for name in ("transposed", "rows", "patches")]
    assert [*found, to_weights.refusals["winograd"]] == 6 * [reason]
    with pytest.raises(ValueError, match=reason):
        Convolution(geometry_of(case), 2, FLOAT, machine, {"forward": "winograd patches"})


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_depthwise_convolutions_have_algorithms_of_their_own(machine: Machine) -> None:
    for case in (Case(2, 5, (9, 9), 5, (3, 3), groups=5), Case(2, 16, (9, 9), 16, (3, 3), stride=2, groups=16)):
        assert [str(chosen) for chosen in choices(case, machine)] == 3 * ["depthwise"]
    assert [chosen.algorithm.name for chosen in choices(Case(2, 2, (9, 9), 4, (3, 3), groups=2), machine)] == [
        "direct", "direct", "by lanes",
    ]  # fmt: skip


def test_which_scheme_sums_the_weights() -> None:
    """By lanes a run of 6 positions takes 6 (6 + 4) on 6 pixels, by positions (16 + 1) 6; of 12, 12 (6 + 4)."""
    few, more = (choices(Case(2, channels, (8, 8), 4, (3, 3)), AVX2).to_weights for channels in (2, 4))
    assert few.algorithm.name == "by lanes"
    assert (more.algorithm.name, more.refusals["by lanes"]) == ("by positions", "by positions takes 0.85 of the time")
