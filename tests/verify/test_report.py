from __future__ import annotations

import json
import math

import pytest

from cnntrain.verify import EntryCheck, TensorCheck
from cnntrain.verify.gradients import Verdict
from cnntrain.verify.report import GradientReport

RIGHT = EntryCheck((3, 0, 14, 20), -1.5e-3, -1.50000003e-3, 2e-8, 4e-10)
WRONG = EntryCheck((2,), 0.0, 0.25, 1.0, 4e-10)
NAN = EntryCheck((1,), math.nan, 0.5, math.inf, 4e-10)


def tensor(
    name: str, verdict: Verdict, worst: EntryCheck | None = RIGHT, *, checked: int = 12, wrong: int = 0, kinks: int = 0
) -> TensorCheck:
    return TensorCheck(name, (6, 1, 5, 5), checked, wrong, kinks, worst, verdict)


def report(*checks: TensorCheck) -> GradientReport:
    return GradientReport("a.yaml", 20, 1, 1e-6, checks, ["0.conv2d", "1.tanh", "2.max_pool2d", "3.dense", "4.tanh"])


def last_line(*checks: TensorCheck) -> str:
    return report(*checks).as_text().splitlines()[-1]


def test_a_table_that_passes() -> None:
    text = report(tensor("input", "ok", kinks=3), tensor("0.conv2d.weight", "ok", checked=6)).as_text()
    assert text.splitlines() == [
        "a.yaml: 20 images in float64, tolerance 1e-06",
        "",
        "tensor             shape  checked  kinks  worst entry         analytic          numeric  rel. error  verdict",
        "input            6x1x5x5       12      3  [3,0,14,20]  -1.50000000e-03  -1.50000003e-03     2.0e-08  ok",
        "0.conv2d.weight  6x1x5x5        6      0  [3,0,14,20]  -1.50000000e-03  -1.50000003e-03     2.0e-08  ok",
        "",
        "passed: 2 of 2 tensors, 18 entries",
    ]


def test_one_image_is_singular() -> None:
    assert GradientReport("a.yaml", 1, 1, 1e-6, []).as_text().startswith("a.yaml: 1 image in float64")


def test_a_wrong_gradient_says_where_to_look() -> None:
    checks = (
        tensor("input", "WRONG", WRONG, wrong=12),
        tensor("0.conv2d.bias", "WRONG", WRONG, wrong=1),
        tensor("3.dense.weight", "zero"),
        tensor("3.dense.bias", "ok"),
    )
    lines = report(*checks).as_text().splitlines()
    assert lines[3].endswith("[2]   0.00000000e+00   2.50000000e-01     1.0e+00  WRONG (12 of 12)")
    assert lines[4].endswith("WRONG (1 of 12)")
    assert lines[-1] == (
        "WRONG: 2 of 4 tensors. The backward pass goes from the last layer to the first. The last that is WRONG is "
        "0.conv2d.bias; 3.dense.bias is right again. The fault is in one of: 0.conv2d, 1.tanh, 2.max_pool2d, 3.dense"
    )
    assert not report(*checks).passed


@pytest.mark.parametrize(
    ("wrong", "right", "where"),
    [
        ("input", "0.conv2d.weight", "0.conv2d.weight is right again. The fault is in one of: 0.conv2d"),
        ("0.conv2d.weight", "0.conv2d.bias", "look at how 0.conv2d computes that gradient."),
        (
            "3.dense.bias",
            None,
            "nothing behind it is known to be right. The fault is in one of: 3.dense, 4.tanh, the loss",
        ),
    ],
)
def test_the_layers_in_between_are_listed(wrong: str, right: str | None, where: str) -> None:
    behind = [] if right is None else [tensor(right, "ok")]
    assert last_line(tensor(wrong, "WRONG", WRONG, wrong=1), *behind).endswith(where)


def test_nan_and_zero_are_explained() -> None:
    text = report(tensor("0.conv2d.bias", "zero"), tensor("3.dense.bias", "WRONG", NAN, wrong=1)).as_text()
    assert "It was before the backward pass, on purpose: is it added to (+=)" in text
    assert "That is normal for a bias in front of batch normalisation" in text
    assert "nan:" not in report(tensor("3.dense.bias", "WRONG", WRONG, wrong=1)).as_text()


def test_what_could_not_be_checked_is_explained() -> None:
    checks = tensor("a", "ok"), tensor("b", "zero"), tensor("c", "not decided", None, checked=0, kinks=48)
    text = report(*checks).as_text()
    assert "zero: the backward pass and the differences agree, on nothing" in text
    assert "not decided: every entry tried lies on a kink, where no gradient exists" in text
    assert " 0     48            -                -                -           -  not decided" in text
    assert last_line(*checks) == "passed: 1 of 3 tensors, 12 entries; 2 could not be checked"
    assert report(*checks).passed


def test_a_check_of_nothing_has_not_passed() -> None:
    checks = tensor("b", "zero"), tensor("c", "not decided", None)
    assert not report(*checks).passed
    assert last_line(*checks) == "FAILED: no gradient is known to be wrong, but none could be checked either."


def test_moved_parameters_are_marked() -> None:
    check = TensorCheck("a", (2,), 2, 0, 4, RIGHT, "ok", moved=True)
    lines = report(check).as_text().splitlines()
    assert lines[3].endswith("  ok*")
    assert lines[5].startswith("* every entry tried was a kink or zero there")
    assert "*" not in report(tensor("a", "ok")).as_text()


@pytest.mark.parametrize("worst", [RIGHT, None])
def test_json(worst: EntryCheck | None) -> None:
    check = tensor("0.conv2d.weight", "ok", worst, kinks=1)
    expected = {"index": [3, 0, 14, 20], "analytic": -1.5e-3, "numeric": -1.50000003e-3, "relative_error": 2e-8}
    assert json.loads(json.dumps(report(check).as_dict())) == {
        "subject": "a.yaml",
        "images": 20,
        "seed": 1,
        "tolerance": 1e-6,
        "passed": True,
        "tensors": [
            {
                "name": "0.conv2d.weight",
                "shape": [6, 1, 5, 5],
                "verdict": "ok",
                "checked": 12,
                "wrong": 0,
                "kinks": 1,
                "moved": False,
                "worst": None if worst is None else expected,
            }
        ],
    }


def test_json_has_no_nan() -> None:
    """NaN is no JSON."""
    text = json.dumps(report(tensor("a", "WRONG", NAN, wrong=1)).as_dict(), allow_nan=False)
    assert json.loads(text)["tensors"][0]["worst"] == {
        "index": [1],
        "analytic": None,
        "numeric": 0.5,
        "relative_error": None,
    }
