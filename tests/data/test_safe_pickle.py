from __future__ import annotations

import contextlib
import os
import pickle
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnntrain.data.safe_pickle import UnsafePickleError, read_pickle

BATCH = {
    "batch_label": b"training batch 1 of 5",
    "labels": [6, 9, 300, 70_000, -5, 2**40, 2**300],
    "data": np.random.default_rng(1).integers(0, 256, (7, 12), dtype=np.uint8),
    "filenames": ["a.png", "b.png", "\xfc"],
    b"bytes": b"\x00\xff",
    5: None,
    "flags": (True, False, ()),
    "nested": {"a": [1, [2, (3, 4, 5, 6)]], "b": {}},
}


@pytest.mark.parametrize("protocol", range(6))
def test_what_python_writes(protocol: int) -> None:
    found = read_pickle(pickle.dumps(BATCH, protocol))
    np.testing.assert_array_equal(found.pop("data"), BATCH["data"])
    assert found == {key: value for key, value in BATCH.items() if key != "data"}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.int32])
def test_arrays(protocol: int, dtype: Any) -> None:
    for array in (
        np.arange(24, dtype=dtype).reshape(2, 3, 4),
        np.asfortranarray(np.arange(6, dtype=dtype).reshape(2, 3)),
    ):
        found = read_pickle(pickle.dumps(array, protocol))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, array)


def test_what_python_2_wrote() -> None:
    """The form of the real files: protocol 2, byte strings, the old name of NumPy's module."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\x03(cnumpy\nndarray\nq\x04K\x00\x85U\x01btRq\x05"
        b"(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x06abcdeftb"
    )
    content = b"\x80\x02}q\x01(U\x04dataq\x02" + array + b"U\x06labelsq\x07]q\x08(K\x06K\x09eU\x0bbatch_labelU\x02ofu."
    found = read_pickle(content)
    assert found[b"labels"] == [6, 9]
    assert found[b"batch_label"] == b"of"
    assert found[b"data"].tolist() == [[97, 98, 99], [100, 101, 102]]


class Payload:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "payload",
    [
        Payload(os.system, "touch hacked"),
        Payload(eval, "open('hacked', 'w')"),
        Payload(getattr, "", "join"),
        Payload(np.zeros, 10**12),
        Payload(bytearray, 10**12),
        Payload(bytes, 10**12),
        Payload(np.load, "hacked"),
    ],
)
def test_nothing_is_called(protocol: int, payload: Payload, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for value in (payload, {"data": payload, "labels": [1]}, [payload]):
        with pytest.raises(UnsafePickleError, match="refused at byte [0-9]+: (it names '|a call of bytes)"):
            read_pickle(pickle.dumps(value, protocol))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cos\nsystem\n(S'touch hacked'\ntR.", "it names 'os.system'"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R.", "it names 'os.system'"),
        (b"cnumpy\nndarray\n(K\x01tR.", "a call of ndarray"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00U\x01btR.", "an array without content"),
        (b"(S'touch hacked'\nios\nsystem\n.", "instruction INST"),
        (b"(cos\nsystem\n.", "it names 'os.system'"),
        (b"\x80\x02cnumpy\ndtype\n)\x81.", "instruction NEWOBJ"),
        (b"P1\n.", "instruction PERSID"),
        (b"\x80\x02\x82\x01.", "instruction EXT1"),
        (b"K\x01K\x02b.", "a state for something that has none"),
        (b"K\x01)R.", "a call"),
        (b"I1\nI2\n.", "other than one value"),
        (b"K\x01", "damaged"),
        (b"", "damaged"),
        (b".", "other than one value"),
        (b"a.", "damaged"),
        (b"u.", "no mark"),
        (b"h\x07.", "damaged"),
        (b"\xff", "damaged"),
        (b"(.", "half a value"),
        (b"cnumpy\nndarray\n.", "half a value"),
        (b"}(K\x01u.", "damaged"),
        (b"}(K\x01K\x02K\x03u.", "damaged"),
        (b"}N}s.", "a key of type NoneType"),
        (b"}((K\x01tK\x01u.", "a key of type tuple"),
        (b"G\x00\x00\x00\x00\x00\x00\x00\x00.", "instruction BINFLOAT"),
        (b"K\x012.", "instruction DUP"),
    ],
)
def test_other_instructions_and_damage(content: bytes, message: str) -> None:
    with pytest.raises(UnsafePickleError, match=message):
        read_pickle(content)


def array_of(shape: tuple[int, ...], kind: str, content: bytes) -> bytes:
    opening = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01("
    lengths = b"".join(b"\x8a\x08" + struct.pack("<q", length) for length in shape)
    dtype = b"tcnumpy\ndtype\n(U" + bytes([len(kind)]) + kind.encode() + b"K\x00K\x01tR"
    return opening + lengths + dtype + b"\x89T" + struct.pack("<i", len(content)) + content + b"tb."


def test_memory_bombs() -> None:
    assert read_pickle(array_of((2, 3), "u1", b"abcdef")).shape == (2, 3)
    for shape in ((10**12,), (10**9, 10**9), (-1, -6), (2**40, 0), (1,) * 60):
        with pytest.raises(UnsafePickleError):
            read_pickle(array_of(shape, "u1", b"abcdef"))
    for announced in (
        b"B\xff\xff\xff\x7f",
        b"\x8e" + b"\xff" * 7 + b"\x0f",
        b"T\xff\xff\xff\x7f",
        b"\x8b\xff\xff\xff\x7f",
    ):
        with pytest.raises(UnsafePickleError):
            read_pickle(b"\x80\x04" + announced + b"abc.")
    with pytest.raises(UnsafePickleError):
        read_pickle(array_of((1,), "O", b"abcdefgh"))
    # a memory of two thousand million places, and lists within lists that would be endless if written out
    assert read_pickle(b"\x80\x02K\x01r\xff\xff\xff\x7f.") == 1
    doubling = (
        b"]" + b"".join(b"q" + bytes([n]) + b"0]h" + bytes([n]) + b"ah" + bytes([n]) + b"a" for n in range(200)) + b"."
    )
    assert len(read_pickle(doubling)) == 2


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    for start in (b"", b"\x80\x02", b"\x80\x04"):
        with contextlib.suppress(UnsafePickleError):
            read_pickle(start + content)


@given(st.data())
def test_flipped_bytes(data: st.DataObject) -> None:
    content = bytearray(pickle.dumps(BATCH, data.draw(st.sampled_from([0, 2, 4, 5]))))
    for _ in range(3):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UnsafePickleError):
        read_pickle(bytes(content))
