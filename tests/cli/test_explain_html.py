from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from cnntrain.cli import main

ROOT = Path(__file__).parents[2]


def test_a_step_as_a_page(tmp_path: Path) -> None:
    config, data = ROOT / "configs" / "mnist-lenet5.yaml", f"data.path={ROOT / 'data' / 'mnist'}"
    small = "network=[{max_pool2d: 4}, {dense: classes}]"
    file = tmp_path / "step.html"
    words = ["explain", str(config), "--index", "3", "--set", data, "--set", small, "--html", str(file)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert f"step.html: {file.stat().st_size:,} bytes" in result.stderr
    assert "image 3 of the test split" in file.read_text("utf-8")
    refused = CliRunner().invoke(main, [*words[:-1], str(tmp_path)])
    assert refused.exit_code == 2
    assert "is a folder" in refused.stderr


def test_lessons_as_pages(tmp_path: Path) -> None:
    file = tmp_path / "lesson.html"
    words = ["explain", "--lesson", "forward", "--image", "1 2; 3 41", "--html", str(file)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert 'data-value="41"' in file.read_text("utf-8")
    result = CliRunner().invoke(main, ["explain", "--lessons", "--html", str(tmp_path / "all")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "all" / "index.html").exists()
