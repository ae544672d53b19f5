from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cnntrain.cli import main
from cnntrain.cli.explain import show_lesson
from cnntrain.explain.lessons import LESSONS, teach
from tests.docs.blocks import blocks_of, commands_of


def explain(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["explain", *arguments], env=environment)


def test_a_lesson() -> None:
    result = explain("--lesson", "pooling")
    assert result.exit_code == 0, result.output
    assert "y₁₁ = max(1, 2, 4, 10) = 10" in result.stdout
    assert "\x1b" not in result.stdout


def test_every_option_reaches_the_lesson() -> None:
    channels = explain(
        "--lesson", "channels", "--image", "1 2 | 3 4", "--image", "0 1 | 1 0", "--filter", "2 | -1", "--bias", "1/2",
        "--delta", "1 -1", "--delta", "2 0", "--stride", "1", "--padding", "0", "--dilation", "1",
        "--mode", "convolution",
    )  # fmt: skip
    assert channels.exit_code == 0, channels.output
    assert "image 1, filter 1: z₁₂ = 2·2 + (−1)·4 + 0.5 = 0.5" in channels.stdout
    assert "filter 1, channel 2: ∂L/∂w₁₁ = 1·3 + (−1)·4 + 2·1 + 0·0 = 1" in channels.stdout
    pooling = explain("--lesson", "pooling", "--window", "1,2", "--image", "1 2 3; 6 5 4")
    assert "y₂₁ = max(6, 5) = 6" in pooling.stdout
    update = explain("--lesson", "update", "--learning-rate", "1", "--momentum", "0", "--weight-decay", "0")
    assert "w₁₁ = 1 + (−1)·9.5 = −8.5" in update.stdout


def test_the_list_of_lessons() -> None:
    result = explain("--lessons")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(LESSONS)
    assert json.loads(explain("--lessons", "--json").stdout) == {name: lesson.about for name, lesson in LESSONS.items()}


def test_json_is_one_object_with_every_block() -> None:
    result = explain("--lesson", "weights", "--json")
    document = json.loads(result.stdout)
    assert (document["lesson"], document["title"]) == ("weights", "Back to the filter: a valid correlation")
    blocks = document["blocks"]
    assert len(blocks) == len(teach("weights").blocks)
    slide = next(block for block in blocks if block["kind"] == "slide")
    assert slide["output"]["values"] == [[9.5, 12], [17, 19.5]]
    assert slide["steps"][0]["window"] == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert slide["steps"][0]["sum"]["terms"] == [[1, 1], [-1, 2], [2, 4], [0.5, 5]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--lesson NAME"),
        (["--lesson", "forward", "run"], "give either a run or a config, or --lesson NAME"),
        (["--lessons", "run"], "give either a run or a config, or --lesson NAME"),
        (["--lesson"], "--lesson needs a name; the lessons are\n  forward "),
        (["--lesson", "--image", "1"], "--lesson needs a name; the lessons are"),
        (["--lesson", "poling"], 'no lesson "poling"; did you mean pooling?'),
        (["run", "--filter", "1"], "--filter is about a lesson: give --lesson NAME"),
        (["--lesson", "forward", "--index", "0"], "--index is about a run or a config"),
        (["--lessons", "--image", "1"], "--image is about one lesson: give --lesson NAME"),
        (["run", "--image", "a.png", "--image", "b.png"], "--image FILE is one image: give it once"),
        (["--lesson", "forward", "--image", "1 2; 3"], "--image: rows must have one length"),
        (["--lesson", "forward", "--image", "\x1b[2J"], r'"\x1b[2J" in row 1 is no number'),
        (["--lesson", "forward", "--delta", "1"], "lesson forward takes no --delta"),
        (["--lesson", "forward", "--learning-rate", "1"], "lesson forward takes no --learning-rate"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str) -> None:
    result = explain(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


def test_a_wrong_kernel_is_said_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from cnntrain import functional

    right = functional.conv2d
    monkeypatch.setattr(functional, "conv2d", lambda *args, **settings: right(*args, **settings) + 1)
    result = explain("--lesson", "forward")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("z₁₁: the kernel gives 38.0, the sum that would be shown beside it 37.0")


@pytest.mark.parametrize(("terminal", "environment", "colored"), [(True, {}, True), (True, {"NO_COLOR": "1"}, False)])
def test_colours_are_for_terminals(
    terminal: bool, environment: dict[str, str], colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, bool]] = []

    class Terminal:
        encoding = "utf-8"

        def isatty(self) -> bool:
            return terminal

    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setattr("cnntrain.cli.explain.click.echo", lambda text, color=None: said.append((text, color)))
    show_lesson("bias", False, {})
    assert [("\x1b[" in text, color) for text, color in said] == [(colored, colored)]


def test_a_stream_that_knows_no_letters_of_mathematics(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner(charset="ascii").invoke(main, ["explain", "--lesson", "bias"])
    assert result.exit_code == 0, result.output
    assert "With b = 0, and with b = 1" in result.stdout


def test_what_the_document_shows_is_what_is_printed() -> None:
    """Its figures too, which the documents' own test passes over."""
    commands = [
        command
        for block in blocks_of("docs/explain.md")
        if block.kind == "commands"
        for command in commands_of(block)
        if "--lesson" in command.line
    ]
    assert len(commands) >= 3
    for command in commands:
        printed = explain(*command.words[2:]).stdout.splitlines()
        assert [line for line in command.output if line.strip() != "..." and line.rstrip() not in printed] == []


def test_lessons_as_pages(tmp_path: Path) -> None:
    result = explain("--lesson", "bias", "--bias", "1/2", "--html", str(tmp_path / "bias.html"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "bytes" in result.stderr
    page = (tmp_path / "bias.html").read_text(encoding="utf-8")
    assert "67.5" in page
    assert explain("--lessons", "--html", str(tmp_path / "all")).exit_code == 0
    assert {path.stem for path in (tmp_path / "all").iterdir()} == {"index", *LESSONS}
    wrong = explain("--lesson", "bias", "--html", str(tmp_path / "not" / "there.html"))
    assert wrong.exit_code == 2
    assert "could not be written" in wrong.stderr
