from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.comparison.figures import summary
from benchmarks.comparison.tables import (
    MarkersMissingError,
    absences,
    as_markdown,
    as_text,
    best_variants,
    markers,
    ratio_cell,
    replaced,
    write,
)


def case(threads: int = 1, **changes: Any) -> dict[str, Any]:
    """What a comparison with two peers found; ONNX Runtime does not train."""
    modes = {mode: {"variants": [""], "left_out": {}} for mode in ("training", "evaluation")}
    none = {mode: {"variants": [""], "left_out": {}} for mode in modes}
    choice = {"chosen": dict.fromkeys(modes, "NHWC"), "speeds": {mode: {"NHWC": 2.0, "NCHW": 1.0} for mode in modes}}
    only = {"chosen": {"training": None, "evaluation": "NCHW"}, "speeds": {"training": {}, "evaluation": {"NCHW": 0.0}}}
    found = {
        "title": "LeNet-5",
        "batch_size": 64,
        "threads": threads,
        "training": summary({"cnntrain": [4000.0, 5000.0, 6000.0], "jax": [1000.0, 1000.0, 1000.0]}),
        "evaluation": summary({"cnntrain": [9000.0], "jax": [9000.0], "onnxruntime": [18000.0]}),
        "peak_memory": {"cnntrain": 100_000_000, "jax": 250_000_000, "onnxruntime": 90_000_000},
        "contestants": {"jax": {"modes": modes, **choice}, "onnxruntime": {"modes": none, **only}},
        "left_out": {},
    }
    return found | changes


def test_ratios_have_as_many_digits_as_they_deserve() -> None:
    assert ratio_cell({"median": 2.345, "low": 2.0, "high": 2.5}) == "2.35 (2.00-2.50)"
    assert ratio_cell({"median": 12.34, "low": 9.99, "high": 14.0}) == "12.3 (10.0-14.0)"
    assert ratio_cell({"median": 0.0312, "low": 0.03, "high": 0.04}) == "0.031 (0.030-0.040)"
    assert ratio_cell(None) == "-"


def test_the_text_shows_speeds_ratios_and_memory() -> None:
    lines = as_text([case()]).splitlines()
    assert lines[1].split()[:3] == ["network", "batch", "threads"]
    assert "ONNX Runtime" not in lines[1]
    assert lines[2].split() == ["LeNet-5", "64", "1", "5,000", "5.00", "(4.50-5.50)", "100", "/", "250"]
    assert lines[6].split() == ["LeNet-5", "64", "1", "9,000", "1.00", "(1.00-1.00)", "0.50", "(0.50-0.50)"]


def test_the_markdown_marks_the_best_peer_and_names_a_network_once() -> None:
    text = as_markdown([case(), case(threads=2)], "Here and now.")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[2] == "| LeNet-5 | 64 | 1 | 5,000 | **5.00 (4.50-5.50)** | 100 / 250 |"
    assert rows[3].startswith("| | | 2 |")
    assert rows[6].endswith("| 1.00 (1.00-1.00) | **0.50 (0.50-0.50)** |")
    assert text.startswith("Here and now.\n\nTraining:\n\n| network |")


def test_a_peer_that_is_missing_once_has_a_dash_there() -> None:
    alone = case(evaluation=summary({"cnntrain": [9000.0], "jax": [9000.0]}))
    assert as_text([case(), alone]).splitlines()[8].split()[-1] == "-"


def test_choices_of_variants_are_counted() -> None:
    """Where there is a choice: ONNX Runtime has none."""
    other = case()
    other["contestants"]["jax"]["chosen"] = {"training": "NCHW", "evaluation": "NHWC"}
    assert best_variants([case(), case(), other]) == [
        "JAX, training, fastest variants (in how many cases): NHWC (2); NCHW (1).",
        "JAX, evaluation, fastest variants (in how many cases): NHWC (3).",
    ]


def test_reasons_are_said_once_with_all_places() -> None:
    found = case(left_out={"torch": "no wheel"})
    found["contestants"]["jax"]["modes"]["training"]["left_out"] = {"NCHW": "not on this processor"}
    assert absences([found, found | {"threads": 2}]) == [
        "JAX, training, NCHW: left out: not on this processor [LeNet-5 b64 t1, LeNet-5 b64 t2]",
        "PyTorch: left out: no wheel [LeNet-5 b64 t1, LeNet-5 b64 t2]",
    ]


BEGIN, END = markers("native")


def test_a_table_takes_the_place_of_the_one_between_the_markers(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n{markers('avx2')[0]}\nother\n{markers('avx2')[1]}\n")
    write(path, "native", "| new |")
    text = path.read_text()
    assert text == f"before\n{BEGIN}\n\n| new |\n\n{END}\nafter\n{markers('avx2')[0]}\nother\n{markers('avx2')[1]}\n"
    write(path, "native", "| new |")
    assert path.read_text() == text


@pytest.mark.parametrize(
    "document", ["", BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}", f"{BEGIN}{END}{END}"]
)
def test_a_document_without_its_markers_is_refused(document: str) -> None:
    with pytest.raises(MarkersMissingError, match="must contain once, in this order"):
        replaced(document, "native", "x")


def test_the_page_has_a_place_for_both_tables() -> None:
    page = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    for name in ("native", "avx2"):
        assert "\n\nx\n\n" in replaced(page, name, "x")
