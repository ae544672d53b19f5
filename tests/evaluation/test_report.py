from __future__ import annotations

import json

import numpy as np
import pytest

from cnntrain.evaluation.evaluate import Evaluation
from cnntrain.evaluation.report import EvaluationReport

NAMES = ("\x1b[31mRED", "a\rb", "e\nf", "\u202eevil", "می\u200cخ")


@pytest.mark.parametrize("classes", [5, 30])  # the whole confusion matrix, and the most frequent confusions
def test_names_of_classes_are_harmless_in_tables_and_true_in_json(classes: int) -> None:
    names = (*NAMES, *map(str, range(classes - len(NAMES))))
    labels = np.arange(classes)
    logits = np.eye(classes)[::-1]
    report = EvaluationReport("\x1b[2J.safetensors", 1, "test", names, Evaluation(0.5, logits, labels), None)
    text = report.as_text()
    assert not {"\x1b", "\r", "\u202e"} & set(text)
    for shown in ("\\x1b[31mRED", "a\\rb", "e\\nf", "\\u202eevil", "می\u200cخ", "\\x1b[2J.safetensors"):
        assert shown in text
    assert [entry["name"] for entry in json.loads(json.dumps(report.as_dict()))["classes"]] == list(names)
