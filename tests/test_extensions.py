"""Layers of the user's own: run only when allowed, right when they are, helpful when something in them is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import cnntrain
from cnntrain import extensions
from cnntrain.cli import main
from cnntrain.config import infer_shapes, load_config, parse_config, resolved_yaml
from cnntrain.errors import ConfigError, ExtensionError
from cnntrain.layers import LAYERS
from cnntrain.shape import Shape
from tests.layers.networks import check_gradients, network
from tests.training.small import train, write_config

ROOT = Path(__file__).parents[1]
EXAMPLE = str(ROOT / "examples" / "my_layers.py")

FINE = """
from cnntrain.extending import Layer, LayerSettings


class DoublingSettings(LayerSettings):
    main = "factor"
    factor: int = 2

    def output_shape(self, input_shape):
        return input_shape


class Doubling(Layer):
    name = "doubling"
    Settings = DoublingSettings

    def __init__(self, row, context):
        self.factor = row.settings.factor
        self.output = context.buffer(row.output_shape)

    def forward(self, x, batch):
        self.output[:] = x * self.factor
        return self.output

    def backward(self, grad_output, batch):
        return grad_output * self.factor


LAYERS = [Doubling]
"""


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(extensions.ENVIRONMENT, raising=False)
    known = set(sys.modules)
    yield
    extensions._loaded.clear()
    for name in set(sys.modules) - known:
        if name.startswith("cnntrain_extension_"):
            del sys.modules[name]


def text(file: object, layer: str = "doubling") -> str:
    return (
        f"extensions: [{file}]\ndata: {{source: mnist, path: none}}\noptimizer: {{sgd: 0.1}}\n"
        f"network:\n  - {layer}\n  - dense: classes\n"
    )


def write(tmp_path: Path, content: str, name: str = "mine.py") -> Path:
    file = tmp_path / name
    file.write_text(content)
    return file


def failure(file: object, layer: str = "doubling") -> str:
    with extensions.allowed(), pytest.raises(ExtensionError) as caught:
        parse_config(text(file, layer), "a.yaml")
    return str(caught.value)


# ---- permission ----


def test_refused_unless_allowed(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    file = write(tmp_path, f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n{FINE}")
    with pytest.raises(ExtensionError) as caught:
        parse_config(text(file), "a.yaml")
    first, source, caret = str(caught.value).splitlines()
    assert first.startswith(f"a.yaml:1:14: {file} is Python code, which would run with all your rights")
    assert "--allow-extensions or CNNTRAIN_ALLOW_EXTENSIONS=1" in first
    assert (source[:8], caret.index("^")) == ("    1 | ", 21)
    assert not marker.exists()
    with extensions.allowed():
        parse_config(text(file), "a.yaml")
    assert marker.exists()
    with pytest.raises(ExtensionError):  # what has been loaded is not allowed for ever
        parse_config(text(file), "a.yaml")


@pytest.mark.parametrize(("value", "allows"), [("1", True), ("", False), ("0", False)])
def test_the_environment_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, allows: bool) -> None:
    monkeypatch.setenv("CNNTRAIN_ALLOW_EXTENSIONS", value)
    assert extensions.are_allowed() == allows


def check(tmp_path: Path, content: str, *arguments: str) -> Result:
    config = tmp_path / "net.yaml"
    config.write_text(content)
    return CliRunner().invoke(main, ["check", "--config", str(config), *arguments])


def test_the_flag_allows_for_one_command_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnntrain.data.dataset.describe_or_recall", lambda settings: (Shape(1, 28, 28), 10, ""))
    content = text(write(tmp_path, FINE))
    refused = check(tmp_path, content)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "net.yaml:1:14: " in refused.stderr
    allowed = check(tmp_path, content, "--allow-extensions")
    assert (allowed.exit_code, allowed.stderr) == (0, "")
    assert ["0", "doubling", "1x28x28", "0", "0"] in [line.split() for line in allowed.stdout.splitlines()]
    assert check(tmp_path, content).exit_code == 2


@pytest.mark.parametrize("command", ["train", "eval", "check", "gradcheck"])
def test_every_command_with_a_config_has_the_flag(command: str) -> None:
    assert "--allow-extensions" in CliRunner().invoke(main, [command, "--help"]).stdout


def test_a_checkpoint_runs_nothing_by_itself(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    file = write(tmp_path, FINE)
    config = write_config(
        tmp_path, extensions=[str(file)], network=["doubling", {"dense": "classes"}], train={"epochs": 1}
    )
    with extensions.allowed():
        run = train(config, tmp_path / "run")
    file.write_text(f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n{FINE}")
    for checkpoint in (run.path, run.last):
        with pytest.raises(ExtensionError, match="allow-extensions"):
            cnntrain.load(checkpoint)
        result = CliRunner().invoke(main, ["eval", str(checkpoint)])
        assert (result.exit_code, result.stdout) == (2, "")
        assert "--allow-extensions" in result.stderr
    result = CliRunner().invoke(main, ["train", "--resume", str(run.path), "--set", "train.epochs=2"])
    assert (result.exit_code, "--allow-extensions" in result.stderr) == (2, True)
    assert not marker.exists()
    assert CliRunner().invoke(main, ["eval", str(run.path), "--allow-extensions"]).exit_code == 0
    assert marker.exists()
    assert len(cnntrain.load(run.path, allow_extensions=True).class_names) == 10


# ---- what the layers do ----


def test_the_example_has_right_gradients() -> None:
    with extensions.allowed():
        layers = "- channel_scale\n- residual: [softsign, channel_scale: {scale_init: {normal: 1.0}}]\n- dense: classes"
        net = network(layers, (2, 3, 4), images=17, extensions=[EXAMPLE])
    names = ["0.channel_scale.scale", "1.residual.body.1.channel_scale.scale", "2.dense.weight", "2.dense.bias"]
    assert check_gradients(net, 17) == ["input", *names]


def test_the_example_config_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with extensions.allowed():
        config = load_config("examples/my_layers.yaml")
    rows = infer_shapes(config, Shape(1, 28, 28), 10)
    assert [row.name for row in rows[1:3]] == ["channel_scale", "softsign"]


def test_a_config_sees_only_the_layers_of_its_own_files(tmp_path: Path) -> None:
    file = write(tmp_path, FINE)
    with extensions.allowed():
        config = parse_config(text(file, "doubling: 3"), "a.yaml", ["network.0.doubling=4"])
        assert config.network[0].settings.factor == 4
        assert parse_config(resolved_yaml(config), "a.yaml") == config
        with pytest.raises(ConfigError, match='unknown layer "doubling"'):
            parse_config(text("").replace("extensions: []\n", ""), "a.yaml")
    assert "doubling" not in LAYERS


def test_overrides_can_name_the_files(tmp_path: Path) -> None:
    file = write(tmp_path, FINE)
    with extensions.allowed():
        config = parse_config(text("missing.py"), "a.yaml", ["network.0.doubling.factor=5", f"extensions=[{file}]"])
    assert config.network[0].settings.factor == 5


def test_a_changed_file_is_loaded_again(tmp_path: Path) -> None:
    file = write(tmp_path, FINE)
    with extensions.allowed():
        first = parse_config(text(file), "a.yaml")
        again = parse_config(text(file), "a.yaml")
        assert type(again.network[0].settings) is type(first.network[0].settings)
        file.write_text(FINE.replace("factor: int = 2", "factor: int = 3"))
        assert parse_config(text(file), "a.yaml").network[0].settings.factor == 3
    assert not (tmp_path / "__pycache__").exists()


# ---- what may be wrong ----


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1\nfor\n", "FILE:2: SyntaxError: invalid syntax"),
        (
            "\n\nimport nothing_like_it\n",
            "FILE:3: ModuleNotFoundError: No module named 'nothing_like_it' (set CNNTRAIN",
        ),
        ("def f():\n    return 1 / 0\nf()\n", "FILE:2: ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)\n", "FILE:1: SystemExit: 3"),
        ("x = 1\n", "FILE: must end with a list of its layers: LAYERS = [MyLayer]"),
        ("LAYERS = []\n", "FILE: must end with a list of its layers"),
        ("LAYERS = [1]\n", "FILE: LAYERS must list subclasses of cnntrain.extending.Layer; found 1"),
        (FINE.replace('name = "doubling"', ""), "FILE: Doubling needs a name for the YAML"),
        (FINE.replace('"doubling"', '"my layer"'), "FILE: Doubling needs a name for the YAML, such as name"),
        (
            FINE.replace("Settings = DoublingSettings", ""),
            "FILE: Doubling needs Settings, a subclass of cnntrain.extending.LayerSettings",
        ),
        (
            FINE.replace("(self, row, context)", "(self, settings, input_shape, context)"),
            "FILE: Doubling must be built from its planned row: def __init__(self, row, context), where row.settings, "
            "row.input_shape and row.output_shape say what for; found __init__(settings, input_shape, context)",
        ),
        (FINE.replace("def backward", "def backwards"), "FILE: Doubling must define backward"),
        (FINE.replace("def output_shape", "def shape"), "FILE: DoublingSettings must define output_shape"),
        (FINE.replace('"doubling"', '"conv2d"'), 'FILE: Doubling: there is a layer "conv2d" already'),
        (FINE.replace("[Doubling]", "[Doubling, Doubling]"), 'FILE: Doubling: there is a layer "doubling" already'),
    ],
)
def test_errors_in_the_file(tmp_path: Path, content: str, message: str) -> None:
    file = write(tmp_path, content)
    first = failure(file).splitlines()[0]
    assert first.startswith(f"a.yaml:1:14: {message.replace('FILE', str(file))}")


def test_a_missing_file() -> None:
    assert f"nowhere.py: No such file or directory (the working directory is {Path.cwd()})" in failure("nowhere.py")


def test_two_files_must_not_define_the_same_layer(tmp_path: Path) -> None:
    one, two = write(tmp_path, FINE, "one.py"), write(tmp_path, FINE, "two.py")
    assert f'{two}: the layer "doubling" is defined in {one} already' in failure(f"{one}, {two}")


def test_two_configs_may_have_layers_of_the_same_name(tmp_path: Path) -> None:
    one = write(tmp_path, FINE, "one.py")
    two = write(tmp_path, FINE.replace("factor: int = 2", "factor: int = 3"), "two.py")
    with extensions.allowed():
        first, second = (parse_config(text(file), "a.yaml") for file in (one, two))
        rows = [infer_shapes(config, Shape(1, 2, 2), 10) for config in (first, second)]
    assert [planned[0].settings.factor for planned in rows] == [2, 3]
    assert rows[0][0].layer is not rows[1][0].layer


@pytest.mark.parametrize("value", ["mine.py", "[1]", "['']", "{a: b}"])
def test_a_wrong_kind_of_value(value: str) -> None:
    with extensions.allowed(), pytest.raises(ConfigError, match="extensions"):
        parse_config(text("").replace("[]", value), "a.yaml")


@pytest.mark.parametrize("asked", [False, True])
def test_an_error_at_work_names_the_line_and_shows_a_traceback_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    monkeypatch.setenv("CNNTRAIN_TRACEBACK", "1" if asked else "")
    monkeypatch.setattr("cnntrain.data.dataset.describe_or_recall", lambda settings: (Shape(1, 28, 28), 10, ""))
    file = write(tmp_path, FINE.replace("return input_shape", "return input_shape.rowz"))
    line = file.read_text().splitlines().index("        return input_shape.rowz") + 1
    result = check(tmp_path, text(file), "--allow-extensions")
    assert (result.exit_code, result.stdout) == (2, "")
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"{file}:{line}: AttributeError: 'Shape' object has no attribute 'rowz'")
    assert ("Traceback" in result.stderr) == asked


def test_errors_of_ours_are_not_blamed_on_the_user() -> None:
    with pytest.raises(ValueError, match="ours") as caught:
        raise ValueError("ours")
    assert extensions.blame(caught.value) is None


def test_an_edited_helper_kernel_is_compiled_again(tmp_path: Path) -> None:
    """Numba's cache looks at the kernel's own bytecode; a helper that it inlines is noticed by the file's hash."""
    program = """
import numpy as np
from cnntrain.kernels.compiler.jit import kernel, parallel_kernel

@kernel
def helper(x):
    return x + NUMBER

@parallel_kernel
def run(array):
    for i in range(array.size):
        array[i] = helper(array[i])

array = np.zeros(1)
run(array)
print(array[0])
"""
    results = []
    for number in ("1.0", "2.0"):
        file = write(tmp_path, program.replace("NUMBER", number), "kernels.py")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(file)], cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PATH": ""},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        results.append(done.stdout.strip())
    assert results == ["1.0", "2.0"]
