"""The shipped configs have the sizes of the published networks; no data are needed for that."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnntrain.config import infer_shapes, load_config
from cnntrain.shape import Shape

CONFIGS = Path(__file__).parents[1] / "configs"
GREY, COLOR = Shape(1, 28, 28), Shape(3, 32, 32)

# Image, parameters, and millions of multiply-adds per image; the parameters are those of the publications where they
# state them, the rest was counted by hand.
SIZES = {
    "mnist-lenet5": (GREY, 61_706, 0.42),
    "caffe-lenet": (GREY, 431_080, 2.29),
    "keras-mnist": (GREY, 34_826, 2.44),
    "mnist-digits-0-4": (GREY, 61_281, 0.42),  # LeNet-5 with 5 outputs: 85 * 5 parameters fewer
    "mnist-digits-5-9": (GREY, 61_281, 0.42),
    "nielsen-1": (GREY, 289_630, 0.58),  # 20*25 + 20, 2880*100 + 100, 1010
    "nielsen-2": (GREY, 85_670, 1.63),
    "nielsen-3": (GREY, 85_670, 1.63),
    "nielsen-4": (GREY, 85_670, 1.63),
    "fashion-2conv": (GREY, 83_466, 10.7),
    "pytorch-cifar-tutorial": (COLOR, 62_006, 0.65),
    "tf-cifar-tutorial": (COLOR, 122_570, 4.55),
    "caffe-cifar10-quick": (COLOR, 145_578, 12.4),
    "keras-cifar-cnn": (COLOR, 1_250_858, 20.7),
    "resnet20": (COLOR, 269_722, 41),
    "airbench94": (COLOR, 1_971_640, 118),
    "airbench94-muon": (COLOR, 1_971_640, 118),
    "mnist-fast": (GREY, 17_602, 0.74),  # 8*25, 2*8, 48*8*25, 2*48, 768*10 + 10
}


def test_every_config_is_in_the_table() -> None:
    assert sorted(path.stem for path in CONFIGS.glob("*.yaml")) == sorted(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_size(name: str) -> None:
    image, parameters, mega_macs = SIZES[name]
    config = load_config(CONFIGS / f"{name}.yaml")
    rows = infer_shapes(config, image, len(config.data.classes or range(10)))
    assert sum(row.parameters for row in rows) == parameters
    macs = sum(row.macs for row in rows) / 1e6
    assert macs == pytest.approx(mega_macs, abs=0.005 if mega_macs < 10 else 0.05 if mega_macs < 40 else 0.5)


@pytest.mark.parametrize("name", SIZES)
def test_head_comment_and_promise(name: str) -> None:
    path = CONFIGS / f"{name}.yaml"
    config = load_config(path)
    head = path.read_text().partition("\nname:")[0]
    assert config.name == name
    assert f"cnntrain reproduce configs/{name}.yaml" in head
    assert config.expect is not None
    assert config.expect.source
    if config.data.path == "data/cifar10-jpeg.zip":
        assert "--set data.path=" in head
