"""Every block of README and docs: it runs and prints what it shows, or stands in a list with the reason why not."""

from __future__ import annotations

import gzip
import re
import shlex
import struct
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cnntrain import extensions
from cnntrain.cli import main
from cnntrain.config import infer_shapes, parse_config
from cnntrain.data.idx_format import read_idx
from cnntrain.machine import AVX512
from cnntrain.shape import Shape
from tests.docs import listed
from tests.docs.blocks import DOCUMENTS, ROOT, Block, Command, blocks_of, commands_of, pattern
from tests.docs.scripts import run_script, run_session

MNIST = ROOT / "data" / "mnist"
PARTS = {"train": 12_000, "t10k": 1_000}  # images: 7,000 to train with
KINDS = {"python", "yaml", "commands", "text"}


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the repository, with a part of MNIST."""
    folder = tmp_path_factory.mktemp("documents")
    for name in ("configs", "examples"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "data" / "mnist").mkdir(parents=True)
    for split, count in PARTS.items():
        for name, dimensions in (("images-idx3", 3), ("labels-idx1", 1)):
            file = f"{split}-{name}-ubyte.gz"
            array = read_idx(MNIST / file, dimensions)[:count]
            header = struct.pack(f">HBB{dimensions}I", 0, 8, dimensions, *array.shape)
            (folder / "data" / "mnist" / file).write_bytes(gzip.compress(header + array.tobytes(), 1))
    (folder / "wrong.yaml").write_text(listed.WRONG)
    (folder / "small.yaml").write_text(next(b.text for b in blocks_of("README.md") if b.first == "# small.yaml"))
    return folder


class Reader:
    """Runs the blocks of a document one after the other."""

    def __init__(self, document: str, folder: Path) -> None:
        self.document, self.folder = document, folder
        self.names: dict[str, Any] = {"__name__": "document"}
        self.told = ""  # by the commands of the block at hand

    def run(self, block: Block) -> None:
        assert block.kind in KINDS, f"{block.place}: nothing is known about {block.kind} blocks"
        getattr(self, f"_{block.kind}")(block)

    def reason(self, text: str) -> str | None:
        """Say why something does not run; None if it does."""
        reasons = listed.NOT_RUN.get(self.document, {})
        return next((reason for beginning, reason in reasons.items() if text.startswith(beginning)), None)

    def _python(self, block: Block) -> None:
        if self.reason(block.first) is None:
            run = run_session if block.first.startswith(">>>") else run_script
            assert run(block, self.names) == ""

    def _yaml(self, block: Block) -> None:
        text = completed(block.text)
        with extensions.allowed():
            config = parse_config(text, block.place)
        if block.first in listed.FILES:
            (self.folder / listed.FILES[block.first]).write_text(text)
            infer_shapes(config, Shape(1, 28, 28), 10)

    def _commands(self, block: Block) -> None:
        for command in commands_of(block):
            if self.reason(command.line) is not None:
                if command.is_ours:  # its options are right all the same
                    name, *arguments = command.words[1:]
                    main.get_command(None, name).make_context(name, arguments)  # type: ignore[arg-type, union-attr]
                continue
            assert command.is_ours, f"{block.place}: neither run nor listed: {command.line}"
            self._compare(command, block.place)

    def _text(self, block: Block) -> None:
        for (document, beginning), (line, change) in listed.PRINTED.items():
            if document == self.document and block.first.startswith(beginning):
                if change is not None:
                    name, old, new = change
                    text = (self.folder / name).read_text()
                    assert old in text
                    (self.folder / name).write_text(text.replace(old, new, 1))
                self._compare(Command(line, block.text.splitlines()), block.place)
                if change is not None:
                    (self.folder / name).write_text(text)

    def _compare(self, command: Command, place: str) -> None:
        shown = " ".join(command.words)
        added = next((more for start, more in listed.STAND_INS.items() if shown.startswith(start)), [])
        result = CliRunner().invoke(main, [*command.words[1:], *(word.format(mnist=MNIST) for word in added)])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        if not command.output:
            assert result.exit_code == 0, f"{place}: {result.output}"
        elif command.words[1] == "gradcheck":
            compare_tables(command.output, result.stdout.splitlines())
        else:
            expected = pattern(command.output, figures=command.words[1] == "check")
            printed = re.sub(r"(?m)^compiling \S+ \(once for this machine\)\n", "", result.stderr + result.stdout)
            assert re.fullmatch(expected, printed), f"{place} prints\n{result.output}"


def completed(text: str) -> str:
    """Return a whole config of a part of one."""
    if text.startswith("- "):
        tried = [f"  {line}" for line in text.splitlines() if not line.startswith("- max_pool2d: {")]
        text = "network:\n" + "\n".join([*tried, "  - dense: classes"])
    missing = {"network:": listed.LAYERS, "optimizer:": listed.OPTIMIZER}
    added = [more for key, more in missing.items() if not re.search(f"^{key}", text, re.MULTILINE)]
    before = "" if re.search("^data:", text, re.MULTILINE) else listed.DATA
    return before + text + "\n" + "".join(added)


def compare_tables(shown: list[str], printed: list[str]) -> None:
    """Compare the rows of a gradient check: all but the numbers that rounding moves."""
    rows = {line.split()[0]: line.split() for line in printed if line.strip()}
    assert shown[0].split() == printed[0].split()
    assert shown[-1] == printed[-1]
    for line in filter(None, map(str.strip, shown[2:-1])):
        if line != "...":
            cells = line.split()
            assert (cells[:4], cells[-1]) == (rows[cells[0]][:4], rows[cells[0]][-1]), line


@pytest.fixture(scope="module")
def run_of_lenet(furnished: Path) -> Path:
    """What the first pages train: two epochs of LeNet-5."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(furnished)
        line = "train --config configs/mnist-lenet5.yaml --set train.epochs=2 --out kept/mnist-lenet5-1 --quiet"
        result = CliRunner().invoke(main, shlex.split(line))
        assert result.exit_code == 0, result.output
    return furnished / "kept"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_does_what_it_shows(
    document: str, furnished: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    blocks = blocks_of(document)
    text = (ROOT / document).read_text()
    runs = furnished / "runs"
    if "runs/mnist-lenet5-1" in text and document != "README.md" and any(b.kind == "python" for b in blocks):
        kept = request.getfixturevalue("run_of_lenet")
        runs.mkdir(exist_ok=True)  # other documents may have put runs of their own there
        if not (runs / "mnist-lenet5-1").exists():
            (runs / "mnist-lenet5-1").symlink_to(kept / "mnist-lenet5-1")
    monkeypatch.chdir(furnished)
    monkeypatch.setattr("cnntrain.layers.explanation.this_machine", lambda: AVX512)  # what `--explain` is shown for
    reader = Reader(document, furnished)
    for block in blocks:
        reader.run(block)


@pytest.mark.parametrize("document", listed.NOT_RUN)
def test_what_is_listed_is_there(document: str) -> None:
    """A list of what has gone would hide what comes."""
    blocks = blocks_of(document)
    lines = [command.line for block in blocks if block.kind == "commands" for command in commands_of(block)]
    lines += [block.first for block in blocks]
    for beginning in listed.NOT_RUN[document]:
        assert any(line.startswith(beginning) for line in lines), f"{document} has no {beginning}"


@pytest.mark.parametrize(("document", "beginning"), listed.PRINTED)
def test_what_is_printed_is_there(document: str, beginning: str) -> None:
    assert any(block.first.startswith(beginning) for block in blocks_of(document))


def test_a_new_block_must_run_or_be_listed(furnished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(furnished)
    reader = Reader("docs/new.md", furnished)
    with pytest.raises(AssertionError, match="neither run nor listed: python new.py"):
        reader.run(Block("docs/new.md", 1, "commands", "python new.py"))
    with pytest.raises(AssertionError, match="nothing is known about julia blocks"):
        reader.run(Block("docs/new.md", 1, "julia", "1 + 1"))
    with pytest.raises(AssertionError, match=r"1 \+ 1 is 2, not \[3\]"):
        reader.run(Block("docs/new.md", 1, "python", "1 + 1  # [3]"))
    with pytest.raises(AssertionError, match="1 \\+ 1"):
        reader.run(Block("docs/new.md", 1, "python", ">>> 1 + 1\n3\n"))
    with pytest.raises(AssertionError, match="prints"):
        reader.run(Block("docs/new.md", 1, "commands", "$ cnntrain check --config small.yaml\nsmall: 11 classes"))
