from __future__ import annotations

from typing import Any

from cnntrain.report.differences import differences, flattened

CONFIG: dict[str, Any] = {
    "seed": 1,
    "data": {"source": "mnist", "augment": []},
    "network": [{"conv2d": {"filters": 6, "kernel_size": [5, 5]}}, "tanh", {"dense": {"units": 10}}],
    "schedule": "constant",
    "expect": {},
}


def test_keys() -> None:
    assert flattened(CONFIG) == {
        "seed": 1,
        "data.source": "mnist",
        "data.augment": [],
        "network.0.conv2d.filters": 6,
        "network.0.conv2d.kernel_size": [5, 5],
        "network.1": "tanh",
        "network.2.dense.units": 10,
        "schedule": "constant",
        "expect": {},
    }


def test_equal_configs_differ_in_nothing() -> None:
    assert differences([CONFIG, dict(CONFIG)]) == {}
    assert differences([CONFIG]) == {}


def test_what_differs_key_by_key() -> None:
    other = CONFIG | {
        "seed": 1.0,
        "network": [{"conv2d": {"filters": 8, "kernel_size": [5, 5]}}, "relu"],
        "schedule": {"step": {"gamma": 0.1}},
    }
    assert differences([CONFIG, other, CONFIG]) == {
        "seed": ["1", "1.0", "1"],
        "network.0.conv2d.filters": ["6", "8", "6"],
        "network.1": ["tanh", "relu", "tanh"],
        "network.2.dense.units": ["10", "-", "10"],
        "schedule": ["constant", "-", "constant"],
        "schedule.step.gamma": ["-", "0.1", "-"],
    }


def test_numbers_that_are_nearly_equal_differ() -> None:
    assert differences([{"a": 0.1}, {"a": 0.10000000000000002}]) == {"a": ["0.1", "0.10000000000000002"]}
    assert differences([{"a": True}, {"a": None}]) == {"a": ["true", "null"]}
