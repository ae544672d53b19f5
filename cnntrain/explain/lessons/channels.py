"""Channels, filters and batches: which index each sum runs over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cnntrain.explain.document import Beside, Block, Cell, Formula, Heading, Role, Sum, Table, Text, matrix
from cnntrain.explain.exercise import Exercise
from cnntrain.explain.letters import letter
from cnntrain.explain.setting import Defaults, Given, many

TITLE = "Channels, filters and batches: who adds up what"
DEFAULTS = Defaults(
    image=("1 | 2 | 3", "4 | 0 | -1"),
    filter=("1/2 | -1 | 2", "3 | 1/4 | -2"),
    bias="1/2 -1/2",
    delta=("10 | 1", "2 | -1"),
)
SHOWN = 4  # sums of a plane that are written out


def lesson(given: Given) -> list[Block]:
    """Return the lesson's blocks."""
    exercise = many(given, DEFAULTS)
    images, filters, channels = len(exercise.images), len(exercise.filters), len(exercise.images[0])
    return [
        Text(
            "An image has channels (red, green, blue), and a filter has one plane of weights for each of them. Each "
            "filter makes one channel of the output, and a batch holds several images. The formulas are those of one "
            "image, one channel and one filter; what is new is the index that each sum runs over:"
        ),
        Table(
            ("pass", "for each", "adds up over", "here"),
            (
                ("forward, z", "image n, filter k", "channels c", f"{channels}"),
                ("back to the image, ∂L/∂x", "image n, channel c", "filters k", f"{filters}"),
                ("back to the filter, ∂L/∂w", "filter k, channel c", "images n", f"{images}"),
                ("back to the bias, ∂L/∂b", "filter k", "images n", f"{images}"),
            ),
        ),
        Formula((
            "z[n,k] = b[k] + Σ_c  x[n,c] ∗ w[k,c]",
            "∂L/∂x[n,c] = Σ_k  δ[n,k], padded ∗ ROT180(w[k,c])",
            "∂L/∂w[k,c] = Σ_n  x[n,c] ∗ δ[n,k]",
            "∂L/∂b[k] = Σ_n Σ_ij  δ[n,k,i,j]",
        )),
        *_forward(exercise),
        *_to_images(exercise),
        *_to_filters(exercise),
        *_to_biases(exercise),
    ]  # fmt: skip


def _forward(exercise: Exercise) -> Iterator[Block]:
    yield Heading("Forward: a sum over channels")
    for k, filter_ in enumerate(exercise.filters):
        yield from _planes(f"Filter {k + 1}", filter_, "w", "channel", "filter")
    for n, image in enumerate(exercise.images):
        yield from _planes(f"Image {n + 1}", image, "x", "channel", "image")
        for k in range(len(exercise.filters)):
            z = exercise.z(n, k)
            for output in _first(exercise.law.outputs()):
                terms: list[tuple[Cell, ...]] = [*exercise.z_terms(output, n, k)]
                terms += [(exercise.biases[k],)] if exercise.biases[k] else []
                name = f"image {n + 1}, filter {k + 1}: {letter('z', output)}"
                yield Sum(name, tuple(terms), z[output[0]][output[1]])
            if len(z) * len(z[0]) > 1:
                yield matrix(f"image {n + 1}, filter {k + 1}: z", z, role="output")


def _to_images(exercise: Exercise) -> Iterator[Block]:
    yield Heading("Back to the image: a sum over filters")
    yield Text("Each filter saw the channel, and each sends back its delta times the weight that it used.")
    for n, deltas in enumerate(exercise.deltas):
        yield from _planes(f"Image {n + 1}", deltas, "δ", "filter", "delta")
        for c in range(len(exercise.images[0])):
            gradient = exercise.grad_input(n, c)
            for pixel in _first(exercise.law.pixels()):
                name = f"image {n + 1}, channel {c + 1}: {letter('∂L/∂x', pixel)}"
                terms: list[tuple[Cell, ...]] = [*exercise.input_terms(pixel, n, c)] or [(0,)]
                yield Sum(name, tuple(terms), gradient[pixel[0]][pixel[1]])
            if len(gradient) * len(gradient[0]) > 1:
                yield matrix(f"image {n + 1}, channel {c + 1}: ∂L/∂x", gradient, role="gradient")


def _to_filters(exercise: Exercise) -> Iterator[Block]:
    yield Heading("Back to the filters: a sum over the batch")
    yield Text("Every image used the same weight; delta times pixel of each of them is added up.")
    for k in range(len(exercise.filters)):
        for c in range(len(exercise.images[0])):
            gradient = exercise.grad_weight(k, c)
            places = ((r, s) for r in range(exercise.law.rows.taps) for s in range(exercise.law.columns.taps))
            for place in _first(places):
                name = f"filter {k + 1}, channel {c + 1}: {letter('∂L/∂w', place)}"
                yield Sum(name, tuple(exercise.weight_terms(place, k, c)), gradient[place[0]][place[1]])
            if len(gradient) * len(gradient[0]) > 1:
                yield matrix(f"filter {k + 1}, channel {c + 1}: ∂L/∂w", gradient, role="gradient")


def _to_biases(exercise: Exercise) -> Iterator[Block]:
    yield Heading("Back to the biases")
    for k in range(len(exercise.filters)):
        yield Sum(f"filter {k + 1}: ∂L/∂b", tuple(exercise.bias_terms(k)), exercise.grad_bias(k))


def _planes(
    owner: str, planes: Iterable[Iterable[Iterable[Cell]]], name: str, inner: str, role: Role
) -> Iterator[Block]:
    """Yield a line of matrices: the channels of an image or of a filter, or the deltas of the filters."""
    yield Text(f"{owner}:")
    yield Beside(tuple(matrix(f"{name}, {inner} {c + 1}", plane, role=role) for c, plane in enumerate(planes)))


def _first(places: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the places whose sums are written out."""
    return list(places)[:SHOWN]
