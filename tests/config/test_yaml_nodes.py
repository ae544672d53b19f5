from __future__ import annotations

import contextlib
import math
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cnntrain.config.problems import Problem
from cnntrain.config.yaml_nodes import MAX_BYTES, MAX_DEPTH, Dumper, compose, read_text, value_of
from cnntrain.errors import ConfigError


def read(text: str) -> object:
    node = compose(text, "a.yaml")
    problems: list[Problem] = []
    value = None if node is None else value_of(node, problems)
    assert not problems
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-4", 0.0005),
        ("1e-3", 0.001),
        ("-1E+3", -1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("7", 7),
        ("-7", -7),
        ("010", 10),
        ("0x10", 16),
        ("0o17", 15),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, 1e19),
        ("9" * 5000, math.inf),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("true", True),
        ("False", False),
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("off", "off"),
        ("y", "y"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("'5'", "5"),
        ("~", None),
        ("null", None),
        ("[1, a, {b: }]", [1, "a", {"b": None}]),
        ("<<: 1", {"<<": 1}),
    ],
)
def test_scalars_are_read_as_people_write_them(text: str, value: object) -> None:
    got = read(text)
    assert (got, type(got)) == (value, type(value))


def test_nan_is_a_float() -> None:
    value = read(".nan")
    assert isinstance(value, float)
    assert math.isnan(value)


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
def test_nothing_is_none(text: str) -> None:
    assert compose(text, "a.yaml") is None


LONG = "x" * 200

SYNTAX_ERRORS = {
    "a: 1\nb:\n\tc: 2\n": "a.yaml:3:1: YAML allows no tab here: use spaces\n    3 |  c: 2\n      | ^",
    "a: &x 1": "a.yaml:1:4: anchors (&) and aliases (*) are not supported: write the value out\n    1 | a: &x",
    "a: *x": "a.yaml:1:4: anchors (&) and aliases (*) are not supported: write the value out",
    "a: !!python/object/apply:os.system [ls]": "a.yaml:1:4: tags (!) are not supported: a plain value is enough",
    "a: !!int 3": "a.yaml:1:4: tags (!) are not supported",
    "a: 1\n---\nb: 2": "a.yaml:2:1: a second document (---) begins here: a config is one document\n    2 | ---",
    "a: b: c": "a.yaml:1:5: a second `key:` on one line",
    "a: 1\nb\n": "a.yaml:2:1: expected `key: value`; is there a ':' missing?",
    "a: [1, 2": "a.yaml:1:9: not valid YAML: expected ',' or ']'",
    "a: 'x": "a.yaml:1:6: not valid YAML: found unexpected end of stream (while scanning a quoted scalar)",
    "a: @x": "a.yaml:1:4: not valid YAML: found character '@' that cannot start any token",
    "a: 1\nb: \x00": "a.yaml:2:4: not a printable character: U+0000",
    "\x7fELF\x02": "a.yaml:1:1: not a printable character: U+007F",
    "[" * 100_000: f"a.yaml:1:{MAX_DEPTH + 1}: nested more than {MAX_DEPTH} levels deep",
    "- " * 10_000: f"a.yaml:1:{2 * MAX_DEPTH + 1}: nested more than {MAX_DEPTH} levels deep",
    "{a: " * 10_000: f"a.yaml:1:{4 * MAX_DEPTH - 2}: nested more than {MAX_DEPTH} levels deep",
    # A long line is cut to what is around the place: 60 characters to its left.
    f"{LONG}: b: c": f"a.yaml:1:204: a second `key:` on one line: is the indentation right, or are quotes or braces "
    f"{{...}} missing?\n    1 | {'x' * 57}: b: c\n      | {' ' * 60}^",
}


@pytest.mark.parametrize("text", SYNTAX_ERRORS, ids=lambda text: repr(text[:20]))
def test_syntax_errors(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(text, "a.yaml")
    assert str(caught.value).startswith(SYNTAX_ERRORS[text])


def test_alias_bomb_is_refused_at_its_first_anchor() -> None:
    bomb = 'a: &a ["x", "x"]\n' + "".join(f"{k}: &{k} [*{j}, *{j}, *{j}]\n" for j, k in pairwise("abcdefghi"))
    with pytest.raises(ConfigError, match=r"^a.yaml:1:4: anchors"):
        compose(bomb, "a.yaml")


def test_keys_that_repeat_or_are_no_words_are_all_reported() -> None:
    node = compose("a: 1\nb: {c: 1, c: 2}\n3: x\n[d]: y\ntrue: z\na: 2\n", "a.yaml")
    assert node is not None
    problems: list[Problem] = []
    assert value_of(node, problems) == {"a": 1, "b": {"c": 1}}
    assert [str(problem).partition("\n")[0] for problem in problems] == [
        'a.yaml:2:11: duplicate key "c", first in line 2',
        "a.yaml:3:1: a key must be a word; received 3",
        "a.yaml:4:1: a key must be a word",
        "a.yaml:5:1: a key must be a word; received true",
        'a.yaml:6:1: duplicate key "a", first in line 1',
    ]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_what_the_dumper_writes_is_read_back(value: object) -> None:
    text = yaml.dump(value, Dumper=Dumper, sort_keys=False, default_flow_style=None, width=120)
    assert repr(read(text)) == repr(value)


@pytest.mark.parametrize("text", ["5e-4", "1e3", "no", "010", "0o7", "1_000", "~", "", "true", ".inf", "a: b", "*x"])
def test_the_dumper_quotes_text_that_looks_like_something_else(text: str) -> None:
    assert read(yaml.dump([text], Dumper=Dumper)) == [text]


@given(st.text(alphabet=" \n\t-:{}[]&*!'\"#%@,?|>abc019.~\x00é", max_size=40))
def test_no_text_raises_anything_but_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        node = compose(text, "a.yaml")
        assert node is None or repr(value_of(node, []))


def test_read_text(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: caf\xc3\xa9\r\n")
    assert read(read_text(path)) == {"name": "café"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: \xff\xfe", "not UTF-8 text (byte 0xff at offset 3): is this a YAML file?"),
        ("a: 1".encode("utf-16"), "not UTF-8 text (byte 0xff at offset 0)"),
        (b"a" * (MAX_BYTES + 1), "larger than 250,000 bytes: this is no config"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_text(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, reason in [
        (tmp_path / "none.yaml", "No such file or directory"),
        (tmp_path, "Is a directory"),
        (Path("a\0b"), "embedded null byte"),
    ]:
        with pytest.raises(ConfigError) as caught:
            read_text(path)
        assert str(caught.value) == f"{path}: cannot read the config: {reason}".replace("\0", "\\x00")
