from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, SerializeAsAny, ValidationError

from cnntrain.data import AUGMENTATIONS, SOURCES, DataSettings
from cnntrain.data.idx import IdxSettings
from cnntrain.data.settings import MeanStd

IDX = {"train_images": "a", "train_labels": "b", "test_images": "c", "test_labels": "d"}


class Config(BaseModel):
    """Holds data settings as the config does."""

    data: SerializeAsAny[DataSettings]


def problems(**keys: Any) -> list[tuple[tuple[int | str, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        Config(data={"source": "mnist", "path": "x", **keys})
    return [(error["loc"], error["msg"]) for error in caught.value.errors()]


def test_registry_names() -> None:
    assert list(SOURCES) == ["mnist", "fashion-mnist", "cifar10", "idx", "npz", "npy", "csv", "folder"]
    assert all(source.name == name and issubclass(source.Settings, DataSettings) for name, source in SOURCES.items())
    assert list(AUGMENTATIONS)[:2] == ["horizontal_flip", "random_crop"]


def test_defaults() -> None:
    found = DataSettings.model_validate({"source": "mnist", "path": "data/mnist"})
    assert found.model_dump() == {
        "source": "mnist",
        "path": "data/mnist",
        "validation": 0,
        "classes": None,
        "normalize": "standard",
        "augment": [],
    }


def test_the_source_brings_its_own_keys_and_they_survive_a_round_trip() -> None:
    config = Config(data={"source": "idx", "path": "x", **IDX})
    assert isinstance(config.data, IdxSettings)
    assert config.data.test_labels == "d"
    assert Config.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    ("given", "mean", "std"),
    [({"mean": 0.1307, "std": 0.3081}, [0.1307], [0.3081]), ({"mean": [0, 1], "std": [1, 2.5]}, [0, 1], [1, 2.5])],
)
def test_mean_and_std(given: dict[str, Any], mean: list[float], std: list[float]) -> None:
    found = DataSettings.model_validate({"source": "mnist", "path": "x", "normalize": given})
    assert found.normalize == MeanStd(mean=mean, std=std)


def test_several_problems_are_found_at_once() -> None:
    places = [place for place, _ in problems(validation=-1, normalize="std", pth="x")]
    assert places == [("data", "validation"), ("data", "normalize"), ("data", "pth")]


def test_unknown_source_names_the_nearest() -> None:
    assert problems(source="minst") == [
        (
            ("data", "source"),
            'unknown data source "minst"; did you mean mnist? '
            "(known: mnist, fashion-mnist, cifar10, idx, npz, npy, csv, folder)",
        )
    ]


@pytest.mark.parametrize("source", [3, None, ["mnist"], {"mnist": {}}])
def test_source_that_is_no_name(source: object) -> None:
    [(place, message)] = problems(source=source)
    assert place == ("data", "source")
    assert message.startswith("unknown data source")


def test_key_of_another_source() -> None:
    assert problems(channels="first") == [(("data", "channels"), "Extra inputs are not permitted")]


def test_missing_keys() -> None:
    with pytest.raises(ValidationError) as caught:
        DataSettings.model_validate({})
    assert [error["loc"] for error in caught.value.errors()] == [("source",), ("path",)]


@pytest.mark.parametrize("value", [-1, 1.0, 5000.0, -0.1, True, "5000", None, float("nan")])
def test_validation_is_a_count_or_a_fraction(value: object) -> None:
    assert problems(validation=value) == [
        (
            ("data", "validation"),
            "must be a number of images (5000) or a fraction of the training split from 0 up to, not including, 1",
        )
    ]


@pytest.mark.parametrize("value", ["std", None, True, 3, [0.5]])
def test_normalize_that_is_none_of_the_choices(value: object) -> None:
    assert problems(normalize=value) == [
        (("data", "normalize"), "must be none, unit, standard, mean_image or {mean: [...], std: [...]}")
    ]


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"mean": [0.5]}, ("std",)),
        ({"mean": [0.5], "std": [0]}, ("std", 0)),
        ({"mean": [], "std": []}, ("mean",)),
        ({"mean": ["a"], "std": [1]}, ("mean", 0)),
        ({"mean": [float("nan")], "std": [1]}, ("mean", 0)),
        ({"mean": [0.5], "std": [1], "variance": 3}, ("variance",)),
        ({"mean": [0.5, 0.5], "std": [1]}, ()),
        ({"mean_image": {"unit": 1}}, ("mean_image", "unit")),
        ({"mean_image": {}, "std": [1]}, ("std",)),
    ],
)
def test_wrong_mean_and_std(value: object, place: tuple[int | str, ...]) -> None:
    assert problems(normalize=value)[0][0] == ("data", "normalize", *place)


def test_unknown_augmentation() -> None:
    [(place, message)] = problems(augment=["cut_out"])
    assert place == ("data", "augment", 0, "cut_out")
    assert message.startswith('unknown augmentation "cut_out"; did you mean cutout? (known: horizontal_flip, ')


def test_path_must_be_text() -> None:
    assert [place for place, _ in problems(path="")] == [("data", "path")]
    assert [place for place, _ in problems(path=3)] == [("data", "path")]
    assert [place for place, _ in problems(path="a\0b")] == [("data", "path")]


def test_class_names_are_distinct() -> None:
    [(place, message)] = problems(source="idx", **IDX, class_names=["cat", "dog", "cat"])
    assert (place, message) == (("data", "class_names"), 'the class name "cat" is given twice')
