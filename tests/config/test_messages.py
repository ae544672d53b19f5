from __future__ import annotations

import pytest

from tests.config.sample import failure, sample

# What is wrong in the file: (old, new, report)

MESSAGES = [
    (
        "seed: 1",
        "sed: 1",
        'a.yaml:1:1: unknown key "sed"; did you mean seed? (known: name, seed, data, network, loss, ',
    ),
    ("seed: 1", "seed: 1.5", "a.yaml:1:7: seed must be a whole number; received 1.5"),
    ("seed: 1", "seed: 1e400", "a.yaml:1:7: seed must be a whole number; received Infinity"),
    ("seed: 1", "seed: 1\nseed: 2", 'a.yaml:2:1: duplicate key "seed", first in line 1'),
    ("seed: 1", "seed: yes", 'a.yaml:1:7: seed must be a whole number; received "yes"'),
    ("seed: 1", "name: a/b", "a.yaml:1:7: name must be usable as a folder's name: letters, digits"),
    ("seed: 1", "name: 5", "a.yaml:1:7: name must be text; received 5"),
    ("epochs: 5", "epochs: 0", "a.yaml:14:11: train.epochs must be at least 1; received 0"),
    ("batch_size: 64", "batch_size: 0", "a.yaml:15:15: train.batch_size must be at least 1; received 0"),
    ("batch_size: 64", "batch_size: '64'", 'a.yaml:15:15: train.batch_size must be a whole number; received "64"'),
    ("batch_size: 64", "batch_size: [64]", "a.yaml:15:15: train.batch_size must be a whole number; received [64]"),
    (
        "batch_size: 64",
        "steps: 3",
        "a.yaml:13:1: train takes either epochs or steps, not both (null unsets one); received",
    ),
    (
        "learning_rate: 0.05",
        "learning_rate: 0",
        "a.yaml:12:24: optimizer.sgd.learning_rate must be greater than 0; rec",
    ),
    ("learning_rate: 0.05, ", "", "a.yaml:12:3: optimizer.sgd.learning_rate is missing"),
    ("0.05", ".nan", "a.yaml:12:24: optimizer.sgd.learning_rate must be finite; received NaN"),
    ("0.05", "1e400", "a.yaml:12:24: optimizer.sgd.learning_rate must be finite; received Infinity"),
    ("0.05", "fast", 'a.yaml:12:24: optimizer.sgd.learning_rate must be a number; received "fast"'),
    ("0.05", "0.05, nesterov: no", 'a.yaml:12:40: optimizer.sgd.nesterov must be true or false; received "no"'),
    (
        "0.05, w",
        "0.05, momntum: 0.9, w",
        'a.yaml:12:30: unknown key "momntum" in optimizer.sgd; did you mean momentum?',
    ),
    ("sgd:", "sdg:", 'a.yaml:12:3: unknown optimizer "sdg"; did you mean sgd?'),
    ("train:", "loss: mean\ntrain:", 'a.yaml:13:7: unknown loss "mean"'),
    ("train:", "loss: {mse: 3}\ntrain:", "a.yaml:13:13: loss.mse takes no settings; received 3"),
    (
        "train:",
        "loss:\ntrain:",
        "a.yaml:13:6: loss must be the name of a loss, with or without settings; received null",
    ),
    (
        "train:",
        "schedule: cosin\ntrain:",
        'a.yaml:13:11: unknown schedule "cosin"; did you mean cosine? (known: consta',
    ),
    (
        "train:",
        "schedule: {multi_step: {epochs: [2, 1]}}\ntrain:",
        "a.yaml:13:24: schedule.multi_step needs its epochs or steps in increasing order; received",
    ),
    (
        "train:",
        "expect: {test_accuracy: 99}\ntrain:",
        "a.yaml:13:25: expect.test_accuracy must be at most 1; received 99",
    ),
    ("train:", "expect: 0.99\ntrain:", "a.yaml:13:9: expect must be a mapping (key: value); received 0.99"),
    ("- tanh", "- tahn", 'a.yaml:8:5: unknown layer "tahn"; did you mean tanh?'),
    ("- tanh", "- tahn: {a: 1}", 'a.yaml:8:5: unknown layer "tahn"; did you mean tanh?'),
    ("- tanh", "- tanh: 3", "a.yaml:8:11: network.1.tanh takes no settings; received 3"),
    ("- tanh", "- tanh: {x: 3}", 'a.yaml:8:12: unknown key "x" in network.1.tanh'),
    ("- tanh", "- 3", "a.yaml:8:5: network.1 must be the name of a layer, with or without settings; received 3"),
    ("- tanh", "-", "a.yaml:8:4: network.1 must be the name of a layer, with or without settings; received null"),
    (
        "- tanh",
        "- conv2d:\n    filters: 6\n    kernel_size: 3",
        "a.yaml:8:5: network.1 must name one layer, its settings indented below it; received",
    ),
    ("train:", "schedule: {step: 3}\ntrain:", "a.yaml:13:18: schedule.step needs the names of its settings (warmup_ep"),
    ("- tanh", "- conv2d", "a.yaml:8:5: network.1.conv2d.filters is missing"),
    ("filters: 6", "filter: 6", 'a.yaml:7:14: unknown key "filter" in network.0.conv2d; did you mean filters?'),
    ("filters: 6", "filters: -6", "a.yaml:7:23: network.0.conv2d.filters must be at least 1; received -6"),
    ("kernel_size: 5", "kernel_size: 0", "a.yaml:7:39: network.0.conv2d.kernel_size must be at least 1; received 0"),
    (
        "kernel_size: 5",
        "kernel_size: [5, 0]",
        "a.yaml:7:43: network.0.conv2d.kernel_size.1 must be at least 1; received",
    ),
    (
        "kernel_size: 5",
        "kernel_size: [5]",
        "a.yaml:7:39: network.0.conv2d.kernel_size must be a whole number or a pair",
    ),
    ("max_pool2d: 2", "max_pool2d: 0", "a.yaml:9:17: network.2.max_pool2d must be at least 1; received 0"),
    ("dense: classes", "dense: clases", "a.yaml:10:12: network.3.dense must be "),
    ("source: mnist", "source: mnst", 'a.yaml:3:11: unknown data source "mnst"; did you mean mnist?'),
    ("source: mnist", "sauce: mnist", 'a.yaml:3:3: unknown key "sauce" in data; did you mean source?'),
    (
        "validation: 5000",
        "validation: 1.5",
        "a.yaml:5:15: data.validation must be a number of images (5000) or a fract",
    ),
    (
        "validation: 5000",
        "normalize: max",
        "a.yaml:5:14: data.normalize must be none, unit, standard, mean_image or {mean: [...]",
    ),
    ("validation: 5000", "normalize: {mean: [0]}", "a.yaml:5:3: data.normalize.std is missing"),
    (
        "validation: 5000",
        "augment: [flip]",
        'a.yaml:5:13: unknown augmentation "flip"; did you mean horizontal_flip? (known: horizontal_flip, r',
    ),
    ("validation: 5000", "clas_names: []", 'a.yaml:5:3: unknown key "clas_names" in data'),
    (
        "source: mnist",
        "source: idx\n  test_image: x",
        'a.yaml:4:3: unknown key "test_image" in data; did you mean test_i',
    ),
]


@pytest.mark.parametrize(("old", "new", "report"), MESSAGES, ids=[new for _, new, _ in MESSAGES])
def test_message(old: str, new: str, report: str) -> None:
    assert f"\n{report}" in "\n" + failure(sample((old, new)))


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("", "a.yaml: the config is empty"),
        ("# nothing\n", "a.yaml: the config is empty"),
        ("- a\n", "a.yaml:1:1: a config is a mapping (key: value), beginning with `data:`\n    1 | - a\n      | ^"),
        ("hello", "a.yaml:1:1: a config is a mapping (key: value), beginning with `data:`\n    1 | hello\n      | ^"),
        ("seed: 1", "a.yaml: data is missing\na.yaml: network is missing\na.yaml: optimizer is missing"),
        ("network: []", "a.yaml:1:10: network needs 1 or more entries; received []"),
        ("network: conv2d", 'a.yaml:1:10: network must be a list; received "conv2d"'),
        ("data: mnist", 'a.yaml:1:7: data must be a mapping (key: value); received "mnist"'),
        ("a: &a [*a]", "a.yaml:1:4: anchors"),
    ],
)
def test_documents_that_are_no_config(text: str, report: str) -> None:
    assert report in failure(text)


def test_all_problems_are_reported_at_once_in_the_order_of_the_file() -> None:
    text = sample(("seed: 1", "seed: -1\nseed: 2"), ("tanh", "tahn"), ("epochs: 5", "epochs: 0"), ("0.05", "x"))
    assert failure(text, "train.batch_size=0") == (
        """\
a.yaml:1:7: seed must be at least 0; received -1
    1 | seed: -1
      |       ^
a.yaml:2:1: duplicate key "seed", first in line 1
    2 | seed: 2
      | ^
a.yaml:9:5: unknown layer "tahn"; did you mean tanh?
    9 |   - tahn
      |     ^
a.yaml:13:24: optimizer.sgd.learning_rate must be a number; received "x"
   13 |   sgd: {learning_rate: x, weight_decay: 5e-4}
      |                        ^
a.yaml:15:11: train.epochs must be at least 1; received 0
   15 |   epochs: 0
      |           ^
--set train.batch_size=0: train.batch_size must be at least 1; received 0"""
    )


def test_after_many_problems_the_rest_is_left_out() -> None:
    lines = failure("".join(f"a{number}: 1\n" for number in range(200))).splitlines()
    assert lines[0] == "a.yaml: data is missing"
    assert lines[3].startswith('a.yaml:1:1: unknown key "a0"')
    assert lines[-1] == "... and more"
    assert sum(line.startswith("a.yaml:") for line in lines) == 50


def test_shape_problems_are_reported_with_the_others() -> None:
    report = failure(sample(("kernel_size: 5", "kernel_size: 29"), ("seed: 1", "seed: x")))
    assert 'a.yaml:1:7: seed must be a whole number; received "x"' in report
    assert "a.yaml:7:39: conv2d does not fit: " in report
    report = failure(sample(("dense: classes", "dense: 7"), ("seed: 1", "seed: x")))
    assert "a.yaml:10:5: dense gives 7x1x1 but the data has 10 classes" in report
    # Layers before a faulty one are checked; from there on no shape is known.
    assert "conv2d does not fit" in failure(sample(("kernel_size: 5", "kernel_size: 29"), ("tanh", "tahn")))
    assert "does not fit" not in failure(sample(("max_pool2d: 2", "max_pool2d: 99"), ("tanh", "tahn")))
    # Nothing is said about shapes when the data are not known.
    assert "does not fit" not in failure(sample(("kernel_size: 5", "kernel_size: 29"), ("mnist", "mnst")))
