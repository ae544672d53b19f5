from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnntrain.data import DataSet
from cnntrain.data.division import content_hash, divide
from cnntrain.errors import ConfigError, DataError
from tests.data.pictures import encoded, load, pixels, write_folder, write_zip


def flat(counts: dict[str, int], start: int = 0) -> dict[str, bytes]:
    """Different pictures of classes, in folders at the top."""
    return {
        f"{name}/{n}.png": encoded(pixels(1000 * kind + n))
        for kind, name in enumerate(counts)
        for n in range(start, start + counts[name])
    }


def contents(data: DataSet) -> dict[str, set[bytes]]:
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    return {name: {image.tobytes() for image in split.images[:]} for name, split in splits.items() if split is not None}


def test_the_hash_is_even_and_never_changes() -> None:
    """What is a test image today must be one tomorrow: these numbers were noted when the format was made."""
    values = [content_hash(bytes([n, n // 256])) for n in range(256)]
    assert 0.45 < np.mean(values) < 0.55
    assert len(set(values)) == 256
    assert [round(content_hash(text), 12) for text in (b"", b"a photo")] == [0.84509469026, 0.967005037324]


KIND_AND_HASH = st.tuples(st.sampled_from("abc"), st.floats(0, 1, exclude_max=True))


@given(
    st.lists(KIND_AND_HASH, min_size=1, max_size=60), st.sampled_from([0.1, 0.2, 0.5]), st.sampled_from([0, 0.1, 0.3])
)
def test_divisions(pictures: list[tuple[str, float]], test: float, validation: float) -> None:
    kinds, hashes = [kind for kind, _ in pictures], [value for _, value in pictures]
    split = divide(kinds, hashes, test, validation)
    by_hash: dict[float, set[str]] = {}
    for value, name in zip(hashes, split, strict=True):
        by_hash.setdefault(value, set()).add(name)
    assert all(len(names) == 1 for names in by_hash.values()), "equal pictures go together"
    first_kind = dict(reversed(list(zip(hashes, kinds, strict=True))))
    for kind in set(first_kind.values()):
        values = [value for value, of in first_kind.items() if of == kind]
        found = Counter(next(iter(by_hash[value])) for value in values)
        assert found["train"] >= 1
        if len(values) >= 3:
            for name, share in (("test", test), ("validation", validation)):
                wanted = share * len(values)
                assert (found[name] > 0) == (share > 0)
                assert abs(found[name] - wanted) <= max(1, wanted / 2) + 1e-9 or found[name] == 1
    order = np.random.default_rng(1).permutation(len(pictures))
    if len(set(hashes)) == len(hashes):
        again = divide([kinds[n] for n in order], [hashes[n] for n in order], test, validation)
        assert again == [split[n] for n in order], "the order of the files does not matter"


def test_a_picture_stays_where_it_is_when_others_are_added() -> None:
    values = np.random.default_rng(2).random(400).tolist()
    before = divide(["a"] * 300, values[:300], 0.2, 0.1)
    after = divide(["a"] * 400, values, 0.2, 0.1)
    assert after[:300] == before
    assert Counter(before).keys() == {"train", "validation", "test"}


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_classes(tmp_path: Path, packed: bool) -> None:
    files = flat({"cat": 40, "dog": 20, "owl": 10})
    path = write_zip(tmp_path / "a.zip", files) if packed else write_folder(tmp_path / "a", files)
    data = load(path, test=0.2, validation=0.1)
    assert data.class_names == ["cat", "dog", "owl"]
    found = contents(data)
    assert sum(map(len, found.values())) == 70
    for split, share in ((data.test, 0.2), (data.validation, 0.1)):
        assert split is not None
        for label, count in enumerate((40, 20, 10)):
            assert abs((split.labels == label).sum() - share * count) <= max(1, share * count / 2)
    for storage in ("memory", "stream"):
        assert contents(load(path, test=0.2, validation=0.1, storage=storage)) == found


def test_copies_never_part_and_the_split_lasts(tmp_path: Path) -> None:
    files = flat({"cat": 30, "dog": 30})
    copies = {name.replace(".png", f"-copy{n}.png"): content for name, content in files.items() for n in range(2)}
    path = write_folder(tmp_path, files | copies)
    found = contents(load(path, test=0.2, validation=0.1))
    assert found["test"].isdisjoint(found["train"] | found["validation"])
    assert found["train"].isdisjoint(found["validation"])
    assert found == contents(load(path, test=0.2, validation=0.1, storage="memory"))
    write_folder(tmp_path, flat({"cat": 110, "dog": 110}, start=100))
    later = contents(load(path, test=0.2, validation=0.1))
    assert all(found[name] <= later[name] for name in found)


def test_test_images_out_of_a_training_folder_and_counts(tmp_path: Path) -> None:
    path = write_folder(tmp_path, {f"Train/{name}": content for name, content in flat({"cat": 30, "dog": 30}).items()})
    assert 9 <= len(load(path, test=12).test) <= 15
    assert load(path, test=0.2).validation is None


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    path = write_folder(tmp_path, flat({"car": 5, "train": 5}))
    assert load(path, test=0.2).class_names == ["car", "train"]


def refused(path: Path, **keys: Any) -> str:
    with pytest.raises((DataError, ConfigError)) as caught:
        load(path, **keys)
    return str(caught.value)


def test_what_does_not_go_together(tmp_path: Path) -> None:
    files = flat({"cat": 3, "dog": 3})
    both = {f"{split}/{name}": content for split in ("train", "test", "val") for name, content in files.items()}
    path = write_folder(tmp_path / "both", both)
    assert refused(path, test=0.2).endswith("brings a test split of its own (6 images): leave data.test out to use it")
    two = write_folder(tmp_path / "two", {name: content for name, content in both.items() if "test" not in name})
    assert "brings a validation split of its own (6 images)" in refused(two, test=0.2, validation=0.1)
    assert load(two, test=0.4).validation is not None
    path = write_folder(tmp_path / "flat", files)
    assert "leave nothing to train on" in refused(path, test=0.5, validation=0.5)
    assert "leave nothing to train on" in refused(path, test=6)
    one = write_folder(tmp_path / "one", {"cat/0.png": files["cat/0.png"], "dog/0.png": files["dog/0.png"]})
    assert "leaves no test images: each class has one picture (equal files count as one)" in refused(one, test=0.2)


def test_files_beside_the_classes_are_told_of(tmp_path: Path) -> None:
    path = write_folder(
        tmp_path, flat({"cat": 4, "dog": 4}) | {"notes.txt": b"x", ".DS_Store": b"x", "loose.png": b"x"}
    )
    with pytest.warns(
        UserWarning, match=r"ignored 2 files that are no image files in a class's folder; the first is loose"
    ):
        load(path, test=0.25)
