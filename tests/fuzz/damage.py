"""Ways to damage a file, and what a reader may do about it."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from cnntrain.errors import CnntrainError

# For properties whose examples take long: a fifth of what the profile says.
FEWER = settings(max_examples=max(5, settings().max_examples // 5))
INTERESTING = [0, 1, 8, 32, 34, 39, 44, 45, 58, 91, 123, 127, 128, 254, 255]  # blanks, quotes, brackets, limits
# (kind, position as a share of the length, bytes)
_EDIT = st.tuples(
    st.sampled_from(["set", "set", "set", "insert", "delete", "repeat"]),
    st.floats(0, 1, exclude_max=True),
    st.one_of(st.sampled_from(INTERESTING).map(lambda byte: bytes([byte])), st.binary(min_size=1, max_size=9)),
)
edits = st.tuples(st.lists(_EDIT, min_size=1, max_size=6), st.one_of(st.just(1.0), st.floats(0, 1)))


def damaged(content: bytes, plan: tuple[list[tuple[str, float, bytes]], float]) -> bytes:
    """Apply edits, then cut the end off."""
    changes, share = plan
    data = bytearray(content)
    for kind, where, new in changes:
        at = int(where * max(1, len(data)))
        if kind == "set":
            data[at : at + len(new)] = new
        elif kind == "insert":
            data[at:at] = new
        elif kind == "delete":
            del data[at : at + len(new)]
        else:
            data[at:at] = data[max(0, at - 40) : at]
    return bytes(data[: int(share * len(data))])


def read(action: Callable[[], Any]) -> Any:
    """Run a reader; its result, or None if it refused in the way that errors should."""
    with quiet():
        try:
            return action()
        except CnntrainError as error:
            shown = str(error)
    assert shown.strip()
    assert len(shown) < 20_000
    shown.encode("utf-8")
    wrong = [
        char for char in shown if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char not in "\n\u200c\u200d"
    ]
    assert wrong == []
    return None


@contextmanager
def quiet() -> Iterator[None]:
    """Pass over warnings that are ours, or Pillow's on metadata; others stay errors."""
    with warnings.catch_warnings():
        for module in ("cnntrain", "PIL", "tests"):
            warnings.filterwarnings("ignore", category=UserWarning, module=module)
        yield
