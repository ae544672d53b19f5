"""Walking an image's shape through layers, and through the layers inside layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, repeat
from typing import Any

from cnntrain.errors import ShapeError
from cnntrain.layers.base import LayerRow, PlannedPart
from cnntrain.layers.settings import LayerSettings
from cnntrain.settings import Choice
from cnntrain.shape import Shape

MAX_LAYERS = 10_000  # repeats written out; the deepest published networks have a third of it
MAX_NESTING = 8  # so that the resolved config, which spells everything out, is no deeper than a config may be
_SHOWN = 16  # layers in a chain of shapes


@dataclass(frozen=True)
class Part:
    """A sequence of layers: one of those inside a layer, or the whole network.

    Attributes
    ----------
    label : str
        The part's name in the paths of its layers; "" if the layer around it has no other.
    key : str
        The YAML keys that lead from the layer around it to the list of its layers, with dots.
    layers : sequence of Choice
        May be empty: the input is passed through.
    times : int or None
        How often the sequence is run through, with parameters of its own each time.
    """

    label: str
    key: str
    layers: Sequence[Choice]
    times: int | None = None


class ContainerSettings(LayerSettings):
    """Settings of a layer that contains layers: which sequences, and what becomes of their outputs."""

    @abstractmethod
    def parts(self) -> Sequence[Part]:
        """Return the sequences; each gets the container's input."""

    @abstractmethod
    def merged_shape(self, input_shape: Shape, parts: Sequence[PlannedPart]) -> Shape:
        """Return the shape that the outputs of the parts make together; raises `ShapeError`."""

    def resolve(self, classes: int) -> LayerSettings:
        """Resolve all layers inside."""
        return self.model_copy(update={key: _resolved(getattr(self, key), classes) for key in type(self).model_fields})

    def plan(self, input_shape: Shape) -> tuple[PlannedPart, ...]:
        """Infer the shapes of all layers inside; raises `ShapeError`."""
        return tuple(plan_part(part, input_shape) for part in self.parts())

    def output_shape(self, input_shape: Shape) -> Shape:
        """As `merged_shape` says."""
        return self.merged_shape(input_shape, self.plan(input_shape))

    def parameter_shapes(self, input_shape: Shape) -> dict[str, tuple[int, ...]]:
        """Those of all layers inside, by their paths below this one."""
        leaves = chain.from_iterable(_leaves(row) for part in self.plan(input_shape) for row in part.rows)
        return {f"{row.path}.{tensor}": shape for row in leaves for tensor, shape in row.parameter_shapes.items()}

    def macs(self, input_shape: Shape) -> int:
        """Those of all layers inside."""
        return sum(row.macs for part in self.plan(input_shape) for row in part.rows)


class Misfit(ShapeError):  # noqa: N818 - says what it is
    """A layer that does not fit, possibly inside others.

    Attributes
    ----------
    layer : str
        Its name.
    place : list of str or int
        The YAML keys and indices that lead from the outermost list of layers to the layer.
    chain : list of str
        The layers up to it, with their shapes.
    """

    def __init__(self, layer: str, place: Sequence[str | int], chain: Sequence[str], error: ShapeError) -> None:
        super().__init__(str(error), error.key, error.notes)
        self.layer, self.place, self.chain = layer, list(place), list(chain)


def plan_part(part: Part, shape: Shape, path: str = "") -> PlannedPart:
    """Infer the shapes of a sequence of layers.

    Parameters
    ----------
    part : Part
        Its layers' settings must be resolved.
    shape : Shape
        What reaches the first layer.
    path : str
        Of the layer around it.

    Raises
    ------
    Misfit
        A layer does not fit.
    """
    rows: list[LayerRow] = []
    period = len(part.layers)
    input_shape = shape
    for number, layer in enumerate(chain.from_iterable(repeat(part.layers, part.times or 1))):
        turn, index = divmod(number, period)
        where = [path, part.label, "" if part.times is None else str(turn), str(index), layer.name]
        try:
            rows.append(plan_layer(layer, shape, ".".join(filter(None, where))))
        except Misfit as misfit:
            steps = [*map(_step, rows), *misfit.chain]
            raise Misfit(misfit.layer, [index, layer.name, *misfit.place], steps, misfit) from misfit
        except ShapeError as error:
            raise Misfit(layer.name, [index, layer.name], [*map(_step, rows), f"{layer.name} ?"], error) from error
        shape = rows[-1].output_shape
    return PlannedPart(part.label, tuple(rows), input_shape)


def plan_layer(layer: Choice, shape: Shape, path: str) -> LayerRow:
    """Infer the shapes of one layer and of those inside it; raises `ShapeError`."""
    settings: LayerSettings = layer.settings
    if isinstance(settings, ContainerSettings):
        parts = tuple(_part_of(layer.name, part, shape, path) for part in settings.parts())
        output, macs = settings.merged_shape(shape, parts), sum(row.macs for part in parts for row in part.rows)
        return LayerRow(layer.registered, settings, path, shape, output, {}, macs, parts)
    output, shapes = settings.output_shape(shape), settings.parameter_shapes(shape)
    settings.check_parameters(shapes)
    init = getattr(settings, "weight_init", None)
    if isinstance(init, Choice) and init.registered.needs_images and path != f"0.{layer.name}":
        raise ShapeError(f"{init.name} is computed from the images: it is for the network's first layer", "weight_init")
    return LayerRow(layer.registered, settings, path, shape, output, shapes, settings.macs(shape))


def _part_of(name: str, part: Part, shape: Shape, path: str) -> PlannedPart:
    """Plan a part of the layer `name`; a misfit in it tells how one gets there."""
    try:
        return plan_part(part, shape, path)
    except Misfit as misfit:
        keys = [int(key) if key.isdecimal() else key for key in part.key.split(".")]
        first, *others = misfit.chain
        steps = [f"{name}.{part.label}: {first}" if part.label else f"{name}: {first}", *others]
        raise Misfit(misfit.layer, [*keys, *misfit.place], steps, misfit) from misfit


def count_layers(layer: Choice) -> int:
    """Return how many layers a layer stands for, itself included, without writing repeats out."""
    if not isinstance(layer.settings, ContainerSettings):
        return 1
    parts = layer.settings.parts()
    return 1 + sum((part.times or 1) * sum(map(count_layers, part.layers)) for part in parts)


def nesting(layer: Choice) -> int:
    """Return how many layers deep the layers inside a layer go."""
    if not isinstance(layer.settings, ContainerSettings):
        return 0
    return 1 + max((nesting(inner) for part in layer.settings.parts() for inner in part.layers), default=0)


def resolved(layer: Choice, classes: int) -> Choice:
    """Replace words that depend on the data (`dense: classes`) by numbers, in a layer and in those inside it."""
    return replace(layer, settings=layer.settings.resolve(classes))


def chain_of(part: PlannedPart) -> str:
    """Return the shapes of a part from beginning to end."""
    if not part.rows:
        return f"{part.input_shape} (identity)"
    return join([str(part.input_shape), *map(_step, part.rows)])


def join(steps: Sequence[str]) -> str:
    """Write a chain of shapes; of a long one the beginning and the end."""
    if len(steps) > _SHOWN:
        steps = [*steps[:2], "...", *steps[2 - _SHOWN :]]
    return " -> ".join(steps)


def _step(row: LayerRow) -> str:
    return f"{row.name} {row.output_shape}"


def _resolved(value: Any, classes: int) -> Any:
    if isinstance(value, Choice):
        return resolved(value, classes)
    return [_resolved(item, classes) for item in value] if isinstance(value, list) else value


def _leaves(row: LayerRow) -> Iterator[LayerRow]:
    if not row.parts:
        yield row
    for part in row.parts:
        for inner in part.rows:
            yield from _leaves(inner)
