from __future__ import annotations

import numpy as np

from cnntrain.data.drawing import as_bytes, draw

TWO = np.zeros((2, 1, 4, 3), np.uint8)
TWO[0, 0, :2] = 255
TWO[1, 0, 2, 1] = 255


def test_shades() -> None:
    assert draw(TWO, ["seven", "b"], 80, color=False) == "sev  b\n███     \n      ▒ "


def test_as_many_as_fit() -> None:
    assert draw(TWO, ["a", "b"], 7, color=False).splitlines()[0] == "a"
    assert draw(TWO, ["a", "b"], 8, color=False).splitlines()[0] == "a    b"
    wide = np.full((1, 1, 4, 400), 255, np.uint8)
    assert max(map(len, draw(wide, ["a"], 40, color=False).splitlines())) <= 20


def test_colours() -> None:
    image = np.zeros((1, 3, 2, 2), np.uint8)
    image[0, :, 0, 0], image[0, :, 1, 0] = (1, 2, 3), (4, 5, 6)
    assert draw(image, ["x"], 80, color=True) == (
        "x\n\x1b[38;2;1;2;3m\x1b[48;2;4;5;6m▀\x1b[38;2;0;0;0m\x1b[48;2;0;0;0m▀\x1b[0m"
    )


def test_odd_rows_and_floats() -> None:
    floats = np.array([[[[-1.0, 1.0]], [[5.0, 5.0]]]], np.float32)[:, :1]
    assert as_bytes(floats).tolist() == [[[[0, 255]]]]
    assert draw(as_bytes(floats), ["x"], 80, color=False) == "x\n ▒"
    assert as_bytes(np.full((1, 1, 1, 1), 3, np.float32)).tolist() == [[[[0]]]]
