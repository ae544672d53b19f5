from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from cnntrain.evaluation.evaluate import Evaluation
from cnntrain.report.answers import Answers
from cnntrain.report.confusion import class_table, confusions, matrix_data, matrix_svg, shortened


def answers(labels: Sequence[int], predicted: Sequence[int], names: Sequence[str]) -> Answers:
    ranks = (np.array(labels) != np.array(predicted)).astype(np.int64)
    return Answers("test", names, Evaluation(0.5, len(names), np.array(labels), np.array(predicted), ranks), [], [])


THREE = answers([0, 0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1, 0], ["cat", "dog", "<b>&"])


def test_the_drawing() -> None:
    svg = matrix_svg(THREE, 0)
    assert (svg.count('class="right"'), svg.count('class="wrong"')) == (2, 2), "cells without images are not drawn"
    assert re.findall(r'<text class="count [a-z]+"[^>]*>(\d+)<', svg) == ["1", "2", "1", "3"]
    assert svg.count("&lt;b&gt;&amp;") == 2
    assert "<b>" not in svg


def test_what_is_said_of_cells() -> None:
    data = matrix_data(THREE)
    assert data["counts"] == {"0,0": 1, "0,1": 2, "1,0": 1, "1,1": 3}
    assert data["images"] == [3, 4, 0]
    assert data["names"][2] == "<b>&"


def test_the_list() -> None:
    rows = re.findall(
        r"<tr><th[^>]*>([^<]*)</th><td>([^<]*)</td><td[^>]*>([^<]*)</td><td[^>]*>([^<]*)</td>", confusions(THREE)
    )
    assert rows == [("cat", "dog", "2", "66.67%"), ("dog", "cat", "1", "25.00%")]
    assert "No image was taken for another class" in confusions(answers([0, 1], [0, 1], ["a", "b"]))


def test_classes() -> None:
    text = re.sub(r"<[^>]*>", " ", class_table(THREE)).split()
    assert " ".join(text[text.index("cat") :][:7]) == "cat 3 1 33.33% 50.00% 40.00% dog"
    assert " ".join(text[text.index("&lt;b&gt;&amp;") :][:6]) == "&lt;b&gt;&amp; 0 0 - - -"


@pytest.mark.parametrize("classes", [2, 12, 13, 20, 21, 50, 51, 100])
def test_every_number_of_classes_has_room(classes: int) -> None:
    found = answers(range(classes), [0] * classes, [f"a rather long name {n}" for n in range(classes)])
    svg = matrix_svg(found, 0)
    width, height = map(float, re.findall(r'viewBox="0 0 (\d+) (\d+)"', svg)[0])
    for x, y, side in re.findall(r'<rect class="(?:right|wrong)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', svg):
        assert float(x) + float(side) <= width
        assert float(y) + float(side) <= height
        assert float(side) >= 4
    assert (">" + shortened("a rather long name 0") in svg) == (classes <= 50)
    assert ('class="count' in svg) == (classes <= 20)


def test_short_names() -> None:
    assert (shortened("0123456789abcd"), shortened("0123456789abcde")) == ("0123456789abcd", "0123456789abc…")
