"""The model of many processes, where its answer can be found by hand."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.processes_model import Profile, Wire, children, predict
from benchmarks.processes_predict import profile_of, show, wire_of
from cnntrain.processes.division import Send, work_of

WIRE = Wire(latency=0.01, bandwidth=1e6)


def ideal(forward: float, backward: tuple[tuple[int, float], ...], update: float) -> Profile:
    """Return what one process takes where copies and calls take no time."""
    return Profile(forward, backward, update, copying=float("inf"), message=0.0)


ONE = ideal(0.1, ((1000, 0.2),), 0.05)  # a layer of 4,000 bytes, 4 ms: one message
TRIP = 0.014


def test_one_process_computes_everything_and_waits_for_nobody() -> None:
    step = predict(ONE, WIRE, 1, 4)
    assert step.seconds == pytest.approx(4 * 0.3 + 0.05)
    assert (step.efficiency, step.exposed, step.messages) == (pytest.approx(1), pytest.approx(0), 0)


@pytest.mark.parametrize(
    ("processes", "trips"),
    [
        (2, 2),  # up and down
        (3, 2 + 2 * 4 / 14),  # 1 and 2 send to 0, whose link takes one after the other; so it does on the way back
        (4, 4),  # 3 to 2 and 1 to 0, 2 to 0; 0 to 2, then 2 to 3 while 0 sends to 1
        (8, 6),
    ],
)
def test_a_message_takes_its_latency_and_its_bytes(processes: int, trips: float) -> None:
    step = predict(ONE, WIRE, processes, processes)
    assert step.exposed == pytest.approx(trips * TRIP)
    assert step.seconds == pytest.approx(0.35 + trips * TRIP)
    assert step.alone == pytest.approx(processes * 0.3 + 0.05)
    assert step.efficiency == pytest.approx(step.alone / processes / step.seconds)


def test_what_is_final_early_travels_while_the_rest_is_computed() -> None:
    large = 40_000  # numbers; 160,000 bytes take 0.16 s
    layers = ((large, 0.1), (0, 1.0), (100, 0.1))
    step = predict(ideal(0.1, layers, 0.0), WIRE, 2, 2)
    late = predict(ideal(0.1, layers, 0.0).at_the_end(), WIRE, 2, 2)
    # the first bucket arrives inside the second layer, at 0.37, and is noticed behind it, at 1.2; on its way down it
    # takes 0.17, and the other one follows on the same link: 0.0704 more than the 1.3 of computing
    assert step.exposed == pytest.approx(1.2 + 0.16 + 0.0004 + 0.01 - 1.3)
    assert late.exposed == pytest.approx(2 * (0.01 + 0.1604))
    assert late.alone == pytest.approx(step.alone)


@pytest.mark.parametrize(("processes", "shards"), [(2, 8), (3, 8), (5, 8), (6, 13), (16, 16)])
def test_messages_are_those_of_the_tree(processes: int, shards: int) -> None:
    layers = ((40_000, 0.1), (40_000, 0.1), (7, 0.1))
    step = predict(Profile(0.1, layers, 0.0), WIRE, processes, shards)
    up = sum(isinstance(item, Send) for rank in range(processes) for item in work_of(rank, processes, shards, shards))
    assert step.messages == 3 * (up + processes - 1)


@pytest.mark.parametrize("processes", [1, 2, 3, 5, 8, 13, 64])
def test_every_process_but_the_first_has_one_parent(processes: int) -> None:
    found = [child for rank in range(processes) for child in children(rank, processes)]
    assert sorted(found) == list(range(1, processes))


def test_more_processes_more_latency_less_efficiency() -> None:
    steps = [predict(ONE, WIRE, 2**power, 2**power) for power in range(1, 9)]
    assert all(a.seconds < b.seconds and a.efficiency > b.efficiency for a, b in pairwise(steps))


def test_what_the_command_line_gives(tmp_path: Path) -> None:
    assert wire_of("mine=1e-5,1e9") == ("mine", Wire(1e-5, 1e9))
    given = profile_of("0.3,1000")
    assert (given.part, given.floats) == (pytest.approx(0.3), 1000)
    assert given.forward == pytest.approx(0.1)
    file = tmp_path / "network.json"
    file.write_text(json.dumps(given._asdict()))
    assert profile_of(str(file)) == given


def test_the_table_has_a_row_for_each_number_of_processes(capsys: pytest.CaptureFixture[str]) -> None:
    show("mine", ideal(0.1, ((1000, 0.2),), 0.0), {"wire": WIRE}, 1, (2, 4))
    head, names, two, four = capsys.readouterr().out.strip().splitlines()
    assert head.startswith("mine: 1,000 numbers, 0.00 MB in 1 message; a part of 64 images takes 300.0 ms; 1 part for")
    assert names.split() == ["processes", "wire"]
    assert two.split() == ["2", "328.0", "ms", "91.5%"]
    assert four.split() == ["4", "356.0", "ms", "84.3%"]
