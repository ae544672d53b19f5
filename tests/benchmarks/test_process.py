from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.comparison import case, process
from benchmarks.comparison.case import Case, Options
from benchmarks.comparison.contestants import Contestant
from benchmarks.comparison.process import EndedError, Process, interpreter
from benchmarks.peers import protocol

ANSWERS: dict[str, Any] = {"training": [2.0, 1.5], "evaluation": [[1.0, -4.0]]}


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    made_up = Contestant("Made Up", "tests.benchmarks.made_up_peer", "numpy")
    for module in (process, case):
        monkeypatch.setitem(module.PEERS, "made-up", made_up)
    np.savez(tmp_path / "state.npz", losses=ANSWERS["training"], logits=ANSWERS["evaluation"])
    variants = {"slow": 0.02, "fast": 0.001, "wrong": 0.0, "broken": 0.0}
    return {
        "title": "Network",
        "batch_size": 10,
        "threads": 1,
        "isa": "native",
        "cpus": [min(compare_processors())],
        "state": str(tmp_path / "state.npz"),
        "answers": ANSWERS,
        "made_up": {"training": variants, "evaluation": {"only": 0.001}},
    }


def compare_processors() -> list[int]:
    from benchmarks.compare import processors

    return processors()


def test_a_process_builds_chooses_and_measures(plan: dict[str, Any]) -> None:
    running = Process("made-up", sys.executable, plan, plan["cpus"])
    description = running.built()
    assert (description["version"], description["threads"]) == ("made up 1", 1)
    training = description["modes"]["training"]
    assert training["variants"] == ["slow", "fast"]
    assert training["left_out"]["broken"] == "NotImplementedError: not on this processor"
    assert training["left_out"]["wrong"].startswith("its losses differ by 2.0e-03 of the largest")
    assert training["differs"]
    running.choose(0.05)
    assert running.description["chosen"] == {"training": "fast", "evaluation": "only"}
    assert 0 < running.measure("training", 0.01) <= 10 / 0.001
    assert running.memory["training"] > 1e6
    assert 0 <= running.shares[0] < 1
    running.close()


def test_a_peer_may_lack_a_mode(plan: dict[str, Any]) -> None:
    del plan["made_up"]["training"]
    running = Process("made-up", sys.executable, plan, plan["cpus"])
    running.built()
    running.choose(0.01)
    assert not running.takes_part("training")
    assert running.takes_part("evaluation")
    running.close()


def test_a_variant_that_was_chosen_before_is_built_alone(plan: dict[str, Any]) -> None:
    running = Process(
        "made-up", sys.executable, {**plan, "variants": {"training": "slow", "evaluation": None}}, plan["cpus"]
    )
    modes = running.built()["modes"]
    assert (modes["training"]["variants"], modes["training"]["left_out"]) == (["slow"], {})
    assert modes["evaluation"]["variants"] == ["only"]
    running.choose(0.01)
    assert running.description["chosen"] == {"training": "slow", "evaluation": "only"}
    running.close()


def test_a_process_that_ends_leaves_its_last_words(plan: dict[str, Any]) -> None:
    plan["made_up"]["training"] = {"fatal": 0.0}
    running = Process("made-up", sys.executable, plan, plan["cpus"])
    with pytest.raises(EndedError, match=r"the Made Up process ended \(exit code 1\)\nout of memory"):
        running.built()
    running.close()


@pytest.mark.parametrize(
    ("variants", "reason", "differ"),
    [
        ({"wrong": 0.0}, "wrong: its losses differ", ["made-up"]),
        ({"broken": 0.0}, "broken: NotImplementedError", []),
        ({"fatal": 0.0}, "out of memory", []),
    ],
)
def test_a_peer_that_differs_or_ends_is_left_out(
    plan: dict[str, Any],
    tmp_path: Path,
    variants: dict[str, float],
    reason: str,
    differ: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = Options({"made-up": sys.executable}, plan["cpus"], 1, 0.01, "native", False, tmp_path, tmp_path)
    made = {**plan, "made_up": {"training": variants}}
    with Case(made, 1, settings) as found:
        peer = found._start("made-up", sys.executable, found.plan, 0)
        with found._forgiving("made-up"):
            found._judge("made-up", peer.built())
        assert found.processes == {}
    assert reason in found.left_out["made-up"]
    assert found.differ == differ
    assert "Network: Made Up is left out: " in capsys.readouterr().err


@pytest.mark.parametrize(("found", "far"), [([2.0, 4.004], 0.001), ([2.004, 4.0], 0.001), ([2.0, 4.0], 0.0)])
def test_differences_are_relative_to_the_largest_number(found: list[float], far: float) -> None:
    assert protocol.difference(np.array(found), np.array([2.0, 4.0])) == pytest.approx(far)


@pytest.mark.parametrize("found", [[2.0], [2.0, np.nan], [[2.0, 4.0]]])
def test_another_shape_or_nan_is_another_network(found: Any) -> None:
    assert protocol.difference(np.array(found), np.array([2.0, 4.0])) == np.inf
    assert "not the same network" in (protocol.disagreement(np.array(found), np.array([2.0, 4.0])) or "")


def test_a_long_step_is_not_repeated_to_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now, steps = [0.0], [0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def step(seconds: float) -> None:
        now[0] += seconds
        steps[0] += 1

    found = protocol.images_per_second(lambda: step(2.0), 10, 1.0)
    assert (found["images_per_second"], steps[0]) == (5.0, 2)
    steps[0] = 0
    protocol.images_per_second(lambda: step(2.0), 10, 1.0, expected=2.0)
    assert steps[0] == 1
    steps[0] = 0
    found = protocol.images_per_second(lambda: step(0.0625), 10, 1.0)
    assert (found["images_per_second"], found["steps"], steps[0]) == (160.0, 16, 19)


def test_an_error_is_told_in_a_line() -> None:
    text = (
        "Graph execution error:\n\nDetected at node x defined at (most recent call last):\n<stack traces>\n"
        "Only NHWC is supported.\n\t [[{{node x}}]] [Op:__inference_update_12]"
    )
    assert protocol.short(NotImplementedError(text)) == "NotImplementedError: Only NHWC is supported."
    assert protocol.short(ValueError("first\nsecond")) == "ValueError: first"
    assert protocol.short(MemoryError()) == "MemoryError: "


def test_an_interpreter_keeps_its_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "python").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    assert interpreter("./python") == str(tmp_path / "python")
    assert interpreter("python3") == "python3"
