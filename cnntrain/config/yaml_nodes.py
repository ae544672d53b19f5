"""YAML as nodes that know their line and column, in the dialect that a config is written in.

YAML 1.2 scalars (`5e-4` is a number; `no` and `on` are words; `010` is ten); one document; no anchors, aliases, tags or
merge keys; bounded size and depth, so that a hostile file costs nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from yaml.error import Mark, MarkedYAMLError
from yaml.nodes import MappingNode, Node, ScalarNode
from yaml.reader import ReaderError

from cnntrain.config.problems import Problem, clip
from cnntrain.errors import ConfigError

MAX_BYTES = 250_000  # PyYAML reads about 100 kB per second; the largest networks need a tenth of this
MAX_DEPTH = 32

_TAG = "tag:yaml.org,2002:"
# At most 18 digits make a whole number (it fits 64 bits); a longer one is a float. Other bases end before that, because
# a config is written back in decimal.
_SCALARS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]{1,18}|0o[0-7]{1,19}|0x[0-9a-fA-F]{1,14}",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}


class RefusedError(MarkedYAMLError):
    """Valid YAML that a config does not use."""


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, used up to its nodes; its own (YAML 1.1) scalar rules are replaced."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012  (filled below by PyYAML's own method)
    depth = 0

    def compose_node(self, parent: Node | None, index: object) -> Node | None:
        event = self.peek_event()
        if getattr(event, "anchor", None) is not None:
            raise RefusedError(
                problem="anchors (&) and aliases (*) are not supported: write the value out",
                problem_mark=event.start_mark,
            )
        if getattr(event, "tag", None) is not None:
            raise RefusedError(
                problem="tags (!) are not supported: a plain value is enough", problem_mark=event.start_mark
            )
        if self.depth == MAX_DEPTH:
            raise RefusedError(problem=f"nested more than {MAX_DEPTH} levels deep", problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)  # type: ignore[arg-type]
        self.depth -= 1
        return node


for _name, _pattern in _SCALARS.items():
    Loader.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern})$"), None)


class Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.1 or 1.2 would not read back as text, and writes no aliases."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        **yaml.SafeDumper.yaml_implicit_resolvers,
        None: Loader.yaml_implicit_resolvers[None],
    }

    def ignore_aliases(self, data: object) -> bool:
        return True


def read_text(path: Path) -> str:
    """Read a config file; raises ConfigError when it is missing, unreadable, too large or not text."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{path}: cannot read the config: {reason}") from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES:,} bytes: this is no config")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte 0x{content[error.start]:02x} at offset {error.start}"
        raise ConfigError(f"{path}: not UTF-8 text ({found}): is this a YAML file?") from error


def compose(text: str, name: str) -> Node | None:
    """Parse one YAML document into nodes; None when there is nothing in it.

    Parameters
    ----------
    text : str
        The YAML.
    name : str
        The file's name, or the `--set` argument, that errors begin with.

    Raises
    ------
    ConfigError
        A syntax error, with its position.
    """
    try:
        loader = Loader(text)
        loader.name = name
        return loader.get_single_node()
    except ReaderError as error:
        head = text[: error.position]
        line, column = head.count("\n"), len(head) - head.rfind("\n") - 1
        mark = Mark(name, error.position, line, column, None, 0)
        problem = Problem(f"not a printable character: U+{ord(text[error.position]):04X}", mark)
    except MarkedYAMLError as error:
        begun = "could not find" in str(error.problem)  # PyYAML's mark is then behind the line in question
        mark = (error.context_mark if begun else error.problem_mark) or Mark(name, 0, -1, -1, None, 0)
        problem = Problem(_explain(error), mark)
    raise ConfigError(str(problem))


def value_of(node: Node, problems: list[Problem]) -> object:
    """Plain Python data of a node; duplicate keys and keys that are no words are added to `problems`."""
    if isinstance(node, ScalarNode):
        return _scalar(node.tag.removeprefix(_TAG), node.value)
    if not isinstance(node, MappingNode):
        return [value_of(item, problems) for item in node.value]
    mapping: dict[str, object] = {}
    lines: dict[str, int] = {}
    for key, value in node.value:
        if key.tag != _TAG + "str":
            what = f"; received {clip(key.value)}" if isinstance(key, ScalarNode) else ""
            problems.append(Problem(f"a key must be a word{what}", key.start_mark))
        elif key.value in mapping:
            first = lines[key.value]
            problems.append(Problem(f'duplicate key "{clip(key.value)}", first in line {first}', key.start_mark))
        else:
            mapping[key.value] = value_of(value, problems)
            lines[key.value] = key.start_mark.line + 1
    return mapping


def _scalar(kind: str, text: str) -> object:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if kind == "float":
        return float(re.sub(r"\.(?=[in])", "", text.lower()))
    return text


def _explain(error: MarkedYAMLError) -> str:
    """Say PyYAML's message in words that help."""
    problem = str(error.problem)
    if isinstance(error, RefusedError):
        return problem
    if "'\\t'" in problem:
        return "YAML allows no tab here: use spaces"
    if problem == "could not find expected ':'":
        return "expected `key: value`; is there a ':' missing?"
    if "another document" in problem:
        return "a second document (---) begins here: a config is one document"
    if problem == "mapping values are not allowed here":
        return "a second `key:` on one line: is the indentation right, or are quotes or braces {...} missing?"
    context = f" ({error.context})" if error.context else ""
    return f"not valid YAML: {problem}{context}"
