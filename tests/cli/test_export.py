from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import load_file, save_file

import cnntrain
from cnntrain.cli import main
from cnntrain.runs.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from cnntrain.runs.folder import RunFolder
from tests.training.small import digits, train, write_config, write_data

pytest.importorskip("onnx", reason="the package onnx is not installed: pip install 'cnntrain[onnx]'")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("trained")
    return train(write_config(folder, train={"epochs": 2}), folder / "run")


@pytest.fixture(scope="module")
def with_mean_image(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("mean")
    return train(write_config(folder, data={"normalize": "mean_image"}, train={"epochs": 1}), folder / "run")


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def succeeds(*arguments: str | Path) -> Any:
    result = run(*arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def fails(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr


def test_all_formats_at_once(trained: RunFolder, tmp_path: Path) -> None:
    targets = {name: tmp_path / f"net.{suffix}" for name, suffix in (("onnx", "onnx"), ("torch", "st"), ("c", "c"))}
    arguments = [word for name, path in targets.items() for word in (f"--{name}", path)]
    told = succeeds("export", trained.path, *arguments)
    assert told["checkpoint"] == str(trained.best)
    assert [(file["format"], Path(file["path"]).name) for file in told["files"]] == [
        ("onnx", "net.onnx"), ("torch", "net.st"), ("python", "net.py"), ("c", "net.c"),
    ]  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {"net.onnx", "net.st", "net.py", "net.c"}
    for file in told["files"]:
        assert file["bytes"] == Path(file["path"]).stat().st_size
    c = told["files"][-1]
    weights = 4 * sum(tensor.size for tensor in read_checkpoint(trained.best).network.values())
    assert weights < c["constants"] < weights + 200
    assert c["flash"] == c["constants"] + c["class_names"] + c["code_estimated"]
    assert c["ram"] == c["arena"] + c["image_and_probabilities"] == c["arena"] + 14 * 14 + 4 * 10
    assert told["files"][0]["input_shape"] == [1, 14, 14]

    text = run("export", trained.path, *arguments)
    assert (text.exit_code, text.stderr) == (0, "")
    lines = text.stdout.splitlines()
    assert lines[0].endswith("operators of ONNX opset 7; images (N, 1, 14, 14) uint8 -> probabilities, logits")
    assert lines[1].endswith("state dict, safetensors")
    assert lines[3].endswith(f"arena {c['arena']:,} bytes; needs libm (-lm)")


def test_what_is_written_answers_like_the_network(trained: RunFolder, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime (onnxruntime) is not installed")
    network = cnntrain.load(trained.path)
    network.export_onnx(tmp_path / "a.onnx")
    network.export_torch(tmp_path / "a.safetensors")
    network.export_c(tmp_path / "a.c")
    succeeds("export", trained.best, "--onnx", tmp_path / "b.onnx", "--torch", tmp_path / "b.safetensors",
             "--c", tmp_path / "b.c")  # fmt: skip
    for suffix in ("onnx", "safetensors", "c"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    images = digits()["x_test"][:, None]
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    probabilities = session.run(["probabilities"], {"images": images})[0]
    np.testing.assert_allclose(probabilities, network.probabilities(images), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), network.predict(images))


def test_there_and_back_is_the_same_file(trained: RunFolder, with_mean_image: RunFolder, tmp_path: Path) -> None:
    for number, folder in enumerate((trained, with_mean_image)):
        state, back = tmp_path / f"{number}.safetensors", tmp_path / f"back-{number}.safetensors"
        succeeds("export", folder.path, "--torch", state)
        told = succeeds("convert", "--from-torch", state, "--config", folder.config, "--out", back)
        assert (told["tensors"], told["classes"][:2]) == (4, ["0", "1"])
        assert back.read_bytes() == folder.best.read_bytes()


def test_a_state_dict_of_somebody_else(trained: RunFolder, tmp_path: Path) -> None:
    """Without our metadata, as PyTorch's users save it: data and config say the rest."""
    succeeds("export", trained.path, "--torch", tmp_path / "ours.safetensors")
    save_file(load_file(tmp_path / "ours.safetensors"), tmp_path / "theirs.safetensors")
    back = tmp_path / "back.safetensors"
    source = tmp_path / "theirs.safetensors"
    arguments: list[str | Path] = ["convert", "--from-torch", source, "--config", trained.config, "--out", back]
    result = run(*arguments)
    assert result.exit_code == 0
    assert result.stdout == f"{back}: 4 tensors, 1,490 numbers; see `cnntrain eval {back}`\n"
    old, new = read_checkpoint(trained.best), read_checkpoint(back)
    for name, tensor in old.network.items():
        np.testing.assert_array_equal(new.network[name], tensor)
    assert new.metadata.normalization == old.metadata.normalization
    assert new.metadata.progress.metrics.validation_accuracy == old.metadata.progress.metrics.validation_accuracy
    confusion = [succeeds("eval", path)["confusion_matrix"] for path in (trained.best, back)]
    assert confusion[0] == confusion[1]
    assert f"--out {back}: is there already; name a new file" in fails(*arguments)


def test_the_network_of_another_config(trained: RunFolder, tmp_path: Path) -> None:
    state, out = tmp_path / "state.safetensors", tmp_path / "out.safetensors"
    succeeds("export", trained.path, "--torch", state)
    wider = write_config(tmp_path, network=[{"conv2d": {"filters": 3, "kernel_size": 3}}, {"dense": "classes"}])
    message = fails("convert", "--from-torch", state, "--config", wider, "--out", out)
    assert f"{state}: does not fit the nn.Sequential of the given config" in message
    assert "0.weight is float32[4, 1, 3, 3], expected float32[3, 1, 3, 3]" in message
    fixed = write_config(tmp_path, "fixed", network=[{"dense": 7}])
    message = fails("convert", "--from-torch", state, "--config", fixed, "--out", out)
    assert f"{state}: the given config does not fit its images and classes:" in message
    assert not out.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: None, "is wrong: 'NoneType' object is not subscriptable"),
        (lambda about: about | {"checkpoint": {}}, "is wrong: 7 validation errors for Metadata"),
        (
            lambda about: about | {"checkpoint": about["checkpoint"] | {"input_shape": [1, 9**9, 9**9]}},
            "is wrong: cannot reshape array",
        ),
        (lambda about: about | {"mean_image": "AAAA"}, "is wrong: buffer size must be a multiple"),
        (lambda about: about | {"mean_image": "AAAAAA=="}, "is wrong: cannot reshape array of size 1"),
        (lambda about: about | {"mean_image": None}, "is wrong: the mean image is not the one that was written"),
    ],
)  # fmt: skip
def test_hostile_metadata(change: Any, message: str, with_mean_image: RunFolder, tmp_path: Path) -> None:
    state, out = tmp_path / "state.safetensors", tmp_path / "out.safetensors"
    succeeds("export", with_mean_image.path, "--torch", state)
    content = state.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    about = change(json.loads(header["__metadata__"]["cnntrain"]))
    save_file(load_file(state), state, {"format": "pt", "cnntrain": json.dumps(about)})
    found = fails("convert", "--from-torch", state, "--config", with_mean_image.config, "--out", out)
    assert f"{state}: its metadata `cnntrain` {message}" in found
    assert not out.exists()


def test_a_pickle_is_not_opened(trained: RunFolder, tmp_path: Path) -> None:
    path = tmp_path / "net's.pt"
    path.write_bytes(b"PK\x03\x04 whatever")
    message = fails("convert", "--from-torch", path, "--config", trained.config, "--out", tmp_path / "out")
    assert f"{path}: is a pickle" in message
    assert "weights_only=True" in message
    assert "net'\"'\"'s.safetensors" in message or "net's.safetensors" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name at least one file: --onnx FILE, --torch FILE or --c FILE"),
        (["--torch", "a.safetensors", "--fold-batch-norm"], "--fold-batch-norm is for --onnx and --c"),
        (["--torch", "net.pt"], "--torch net.pt: is written as safetensors, with a .py of its name beside it"),
        (["--torch", "net.py"], "name it net.safetensors"),
        (["--onnx", "a.net", "--c", "a.net"], "--c a.net: would be written over --onnx; name another file"),
        (["--torch", "a.st", "--c", "a.py"], "--c a.py: would be written over --torch; name another file"),
        (["--onnx", "RUN/best.safetensors"], "would be written over the checkpoint; name another file"),
        (["--torch", "RUN/last.safetensors"], "would be written over the run's last.safetensors"),
        (["--c", "."], "--c .: is a folder; name a file"),
        (["--c", "gone/net.c"], "gone/net.c: could not be written"),
    ],
)
def test_mistakes_write_nothing(
    arguments: list[str], message: str, trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in trained.path.iterdir()}
    words = [word.replace("RUN", str(trained.path)) for word in arguments]
    assert message in " ".join(fails("export", trained.path, *words).split())
    assert list(tmp_path.iterdir()) == []
    assert {path: path.read_bytes() for path in trained.path.iterdir()} == before
    assert "there is no such run folder or checkpoint" in fails("export", "nowhere", "--c", "net.c")


def test_without_onnx(trained: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    message = fails("export", trained.path, "--c", tmp_path / "a.c", "--onnx", tmp_path / "a.onnx")
    assert "--onnx needs the package onnx: pip install 'cnntrain[onnx]'" in message
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_holds_nan(trained: RunFolder, tmp_path: Path) -> None:
    original = read_checkpoint(trained.best)
    tensors = {name: value.copy() for name, value in original.network.items()}
    tensors["0.conv2d.bias"][0] = np.nan
    save_checkpoint(tmp_path / "bad.safetensors", Checkpoint(original.metadata, tensors))
    assert "NaN or infinity in 0.conv2d.bias" in fails(
        "export", tmp_path / "bad.safetensors", "--c", tmp_path / "a.c"
    )  # fmt: skip


def test_images_of_floats(tmp_path: Path) -> None:
    arrays = digits()
    floats = {key: (arrays[key] / 255).astype(np.float32) for key in ("x_train", "x_test")}
    write_data(tmp_path, arrays | floats)
    folder = train(write_config(tmp_path, train={"epochs": 1}), tmp_path / "run")
    succeeds("export", folder.path, "--c", tmp_path / "net.c")
    assert "int predict(const float *image, float *probabilities)" in (tmp_path / "net.c").read_text()
