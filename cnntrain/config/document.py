"""The YAML document behind a config, a tree of nodes: finding the place of a value, and putting `--set` values in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from yaml.error import Mark
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from cnntrain.config.problems import SET, Problem, clip
from cnntrain.config.yaml_nodes import MAX_DEPTH, compose, value_of
from cnntrain.errors import ConfigError

Path = Sequence[str | int]
MainOf = Callable[[Sequence[str]], str | None]
STR, NULL, MAP = ("tag:yaml.org,2002:" + kind for kind in ("str", "null", "map"))


@dataclass(frozen=True)
class Document:
    """A config as it was written. All documents are equal: two configs are equal when their values are.

    Parameters
    ----------
    file : str
        Name of the file, for messages.
    root : MappingNode
        The top of the tree.
    """

    file: str = field(compare=False)
    root: MappingNode = field(compare=False)

    @classmethod
    def parse(cls, text: str, file: str) -> Document:
        """Parse YAML; raises ConfigError on a syntax error and on a document that is no mapping."""
        root = compose(text, file)
        if root is None:
            raise ConfigError(f"{file}: the config is empty")
        if not isinstance(root, MappingNode):
            raise ConfigError(
                str(Problem("a config is a mapping (key: value), beginning with `data:`", root.start_mark))
            )
        return cls(file, root)

    def values(self, problems: list[Problem]) -> dict[str, object]:
        """Plain Python data; duplicate keys and the like are added to `problems`."""
        values = value_of(self.root, problems)
        assert isinstance(values, dict)
        return values

    def mark(self, path: Path, at_key: bool = False) -> Mark:
        """Return the place of the value at `path`, or of its key; of what is around it if it is not written."""
        node: Node = self.root
        key_mark = Mark(self.file, 0, -1, -1, None, 0)  # the file as a whole
        written = True
        for step in path:
            found = _child(node, step)
            written = found is not None or not isinstance(node, MappingNode)
            if found is not None:
                key_mark, node = found
            elif isinstance(node, ScalarNode):
                key_mark = node.start_mark  # a bare name, or a main setting alone
        indented = isinstance(node, MappingNode) and not node.flow_style
        if node.start_mark.name != key_mark.name:
            return node.start_mark  # the value, but not its key, is an override's
        return key_mark if at_key or indented or not written else node.start_mark

    def override(self, argument: str, main_of: MainOf) -> None:
        """Put a `--set` argument "a.b=c" into the tree; the value is YAML, list elements are named by their index.

        Parameters
        ----------
        argument : str
            What followed `--set`.
        main_of : callable
            Gives the main setting of the choice at a path, so that `max_pool2d: 2` can get further settings.

        Raises
        ------
        ConfigError
            The argument has no "=", its value is no YAML, or its path leads through a value that has no parts.
        """
        place = Mark(SET + argument, 0, 0, 0, None, 0)
        path, equals, text = argument.partition("=")
        keys = [key.strip() for key in path.split(".")]
        if not equals or not all(keys) or len(keys) > MAX_DEPTH:
            raise ConfigError(str(Problem("expected KEY=VALUE, for example --set train.epochs=3", place)))
        value = compose(text, place.name) or _null(place)
        _put(self.root, keys, 0, value, main_of)


def _child(node: Node, step: str | int) -> tuple[Mark, Node] | None:
    """Return the place of the key and the value of one step down."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == step:
                return key.start_mark, value
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark, node.value[step]
    return None


def _put(node: Node, keys: list[str], at: int, value: Node, main_of: MainOf) -> Node:
    """Return `node` with the value at `keys[at:]` below it replaced; what is missing on the way is made."""
    if at == len(keys):
        return value
    key = keys[at]
    is_index = isinstance(node, SequenceNode) and key.isdecimal() and len(key) < 10
    if isinstance(node, MappingNode):
        for position, (key_node, child) in enumerate(node.value):
            if key_node.value == key:
                node.value[position] = (key_node, _put(child, keys, at + 1, value, main_of))
                return node
        place = value.start_mark
        node.value.append((ScalarNode(STR, key, place), _put(_null(place), keys, at + 1, value, main_of)))
        return node
    if is_index and int(key) < len(node.value):
        node.value[int(key)] = _put(node.value[int(key)], keys, at + 1, value, main_of)
        return node
    above = ".".join(keys[:at])
    if isinstance(node, SequenceNode) and (main_of(keys[:at]) is None or is_index):
        count = len(node.value)
        raise _error(f"{above} has {count} entries, 0 to {count - 1}" if count else f"{above} is empty", value)
    return _put(_opened(node, keys, at, value, main_of), keys, at, value, main_of)


def _opened(node: Node, keys: list[str], at: int, value: Node, main_of: MainOf) -> MappingNode:
    """Return the mapping that nothing, a bare name or a main setting alone stands for."""
    pairs: list[tuple[Node, Node]] = []
    if node.tag != NULL:
        main = main_of(keys[:at])
        if node.value == keys[at]:
            pairs = [(node, _null(value.start_mark))]
        elif main is not None:
            pairs = [(ScalarNode(STR, main, node.start_mark), node)]
        else:
            above = ".".join(keys[:at])
            raise _error(
                f'{above} is "{clip(node.value)}", which has no part "{keys[at]}"; --set {above}=... first', value
            )
    return MappingNode(MAP, pairs, value.start_mark)


def _null(mark: Mark) -> ScalarNode:
    return ScalarNode(NULL, "", mark)


def _error(message: str, value: Node) -> ConfigError:
    return ConfigError(str(Problem(message, value.start_mark)))
