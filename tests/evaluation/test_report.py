from __future__ import annotations

import json

import numpy as np
import pytest

from cnntrain.config import ExpectSettings
from cnntrain.evaluation.evaluate import Evaluation
from cnntrain.evaluation.report import EvaluationReport, Promise

HOSTILE = ("\x1b[31mred", "\x1b]0;pwned\a", "a\rb", "e\nf", "\u202eevil", "می\u200cخواهم", "全\u3000角")
SHOWN = ("\\x1b[31mred", "\\x1b]0;pwned\\x07", "a\\rb", "e\\nf", "\\u202eevil", "می\u200cخواهم", "全\u3000角")


def report(classes: int) -> EvaluationReport:
    """Report that each class was taken for the next one, once."""
    names = (*HOSTILE, *(f"class {number}" for number in range(classes - len(HOSTILE))))
    labels = np.arange(classes)
    evaluation = Evaluation(0.5, classes, labels, (labels + 1) % classes, np.ones(classes, np.int64))
    expected = ExpectSettings(test_accuracy=0.5, source="\x1b[8mhidden")
    return EvaluationReport("run\x1b[2J", 1, "test", names, evaluation, Promise(expected, 0.0))


@pytest.mark.parametrize("classes", [7, 30])
def test_names_that_control_a_terminal_are_shown(classes: int) -> None:
    text = report(classes).as_text()
    assert [char for char in text if char != "\n" and (ord(char) < 32 or char == "\u202e")] == []
    for name in (*SHOWN, "run\\x1b[2J", "\\x1b[8mhidden"):
        assert name in text


def test_json_has_the_names_as_they_are() -> None:
    content = json.loads(json.dumps(report(7).as_dict()))
    assert tuple(entry["name"] for entry in content["classes"]) == HOSTILE


@pytest.mark.parametrize(("classes", "there"), [(1000, True), (1001, False)])
def test_a_matrix_of_very_many_classes_is_left_out(classes: int, there: bool) -> None:
    content = report(classes).as_dict()
    assert (content["confusion_matrix"] is not None) == there
    assert content["mistakes"][:2] == [[0, 1, 1], [1, 2, 1]]
    assert len(content["mistakes"]) == classes
