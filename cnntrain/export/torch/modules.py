"""The `nn.Sequential` that computes what a network computes: its modules, and which tensor of ours each of theirs is.

A table says it for every layer. Dense layers take (N, C·H·W), others (N, C, H, W): `nn.Flatten` and `nn.Unflatten`
stand where that changes, and count in the names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from cnntrain.layers import LAYERS, Layer, LayerRow
from cnntrain.shape import Shape

Form = Literal["same", "rotated", "ones", "zeros", "count"]


class Entry(NamedTuple):
    """A tensor of a module.

    Attributes
    ----------
    name : str
        In PyTorch: of the module at first, of the whole network later.
    ours : str
        Its name in the network; for `ones`, `zeros` and `count`, which we do not keep, the layer's path.
    form : str
        same: the same numbers. rotated: filters turned by 180°. ones, zeros: PyTorch has it, we don't, so it must be
        this. count: a number of batches, of no influence.
    shape : tuple of int
    """

    name: str
    ours: str
    form: Form
    shape: tuple[int, ...]


@dataclass
class Module:
    """A module: the expression that makes it, its tensors, and the sequences that it is made of.

    Attributes
    ----------
    text : str
        "nn.ReLU()"; of one with parts what comes before the bracket.
    note : str
        The output's shape.
    entries : list of Entry
    parts : list of (str, Module or list of Module)
        By the names of their attributes; a single module, or those of an nn.Sequential.
    """

    text: str
    note: str = ""
    entries: list[Entry] = field(default_factory=list)
    parts: list[tuple[str, Module | list[Module]]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of its class."""
        return self.text.partition("(")[0]


def modules_of(rows: Sequence[LayerRow], flat: bool = False) -> tuple[list[Module], bool]:
    """Return the modules of a sequence of layers, and whether what comes out is flat."""
    found: list[Module] = []
    for row in rows:
        wants, write = TABLE[row.layer]
        if wants == "flat" and not flat:
            found.append(Module("nn.Flatten()", str(row.input_shape.size)))
        elif wants == "image" and flat:
            found.append(_unflatten(row.input_shape))
        flat = flat if wants == "any" else wants == "flat"
        if row.layer is LAYERS["flatten"]:
            continue
        if row.layer is LAYERS["repeat"]:
            inside, flat = modules_of(row.parts[0].rows, flat)
            found.append(Module("nn.Sequential", str(row.output_shape), parts=[("", inside)]))
        else:
            module = write(row)
            module.note = str(row.output_shape)
            found.append(module)
    return found, flat


def _unflatten(shape: Shape) -> Module:
    return Module(f"nn.Unflatten(1, {tuple(shape)})", str(shape))


def _images(rows: Sequence[LayerRow], shape: Shape) -> list[Module]:
    """Return the modules of a sequence inside a layer: images in, images out."""
    found, flat = modules_of(rows)
    return [*found, _unflatten(shape)] if flat else found


def entries_of(modules: Sequence[Module], prefix: str = "") -> Iterator[Entry]:
    """Yield all tensors by their names in the state dict, in its order."""
    for number, module in enumerate(modules):
        path = f"{prefix}{number}."
        yield from (entry._replace(name=path + entry.name) for entry in module.entries)
        for name, part in module.parts:
            inside = f"{path}{name}." if name else path
            if isinstance(part, Module):
                yield from (entry._replace(name=inside + entry.name) for entry in part.entries)
            else:
                yield from entries_of(part, inside)


def own_modules(modules: Sequence[Module]) -> set[str]:
    """Return the names of the classes that PyTorch does not have."""
    names: set[str] = set()
    for module in modules:
        names.add(module.name)
        for _, part in module.parts:
            names |= own_modules([part] if isinstance(part, Module) else part)
    return {name for name in names if not name.startswith("nn.")}


# --- layers ---


def _entries(row: LayerRow, names: dict[str, str], form: Form = "same") -> list[Entry]:
    """Return those of a layer's tensors that it has, by PyTorch's names; `form` is that of the weight."""
    return [
        Entry(theirs, f"{row.path}.{ours}", form if ours == "weight" else "same", row.parameter_shapes[ours])
        for theirs, ours in names.items()
        if ours in row.parameter_shapes
    ]


def _call(name: str, *arguments: Any, **options: Any) -> str:
    words = [repr(a) for a in arguments] + [f"{key}={value!r}" for key, value in options.items() if value is not None]
    return f"{name}({', '.join(words)})"


def _pair(values: Sequence[int]) -> int | tuple[int, ...]:
    return values[0] if len(set(values)) == 1 else tuple(values)


def _unless(value: Any, usual: Any) -> Any:
    return None if value == usual else value


def _conv2d(row: LayerRow) -> Module:
    s = row.settings
    padding = s.padding if s.padding == "same" else 0 if s.padding == "valid" else _pair(s.padding)
    text = _call(
        "nn.Conv2d", row.input_shape.channels, s.filters, _pair(s.kernel_size),
        stride=_unless(_pair(s.stride), 1), padding=_unless(padding, 0), dilation=_unless(_pair(s.dilation), 1),
        groups=_unless(s.groups, 1), bias=_unless(s.bias, True),
    )  # fmt: skip
    form: Form = "rotated" if s.mode == "convolution" else "same"
    return Module(text, entries=_entries(row, {"weight": "weight", "bias": "bias"}, form))


def _dense(row: LayerRow) -> Module:
    s = row.settings
    text = _call("nn.Linear", row.input_shape.size, row.output_shape.size, bias=_unless(s.bias, True))
    return Module(text, entries=_entries(row, {"weight": "weight", "bias": "bias"}))


def _pooling(name: str) -> Writer:
    def write(row: LayerRow) -> Module:
        s = row.settings
        counts = getattr(s, "count_padding", True)
        return Module(
            _call(
                name, _pair(s.kernel_size), stride=s.stride and _unless(_pair(s.stride), _pair(s.kernel_size)),
                padding=_unless(_pair(s.padding), 0), ceil_mode=_unless(s.ceil_mode, False),
                count_include_pad=_unless(counts, True),
            )
        )  # fmt: skip

    return write


def _batch_norm(row: LayerRow) -> Module:
    """PyTorch learns scale and shift, or neither: where one is missing it is there as ones or zeros."""
    s, shape = row.settings, (row.input_shape.channels,)
    text = _call(
        "nn.BatchNorm2d", *shape, eps=_unless(s.epsilon, 1e-5), momentum=_unless(s.momentum, 0.1),
        affine=None if s.scale or s.shift else False,
    )  # fmt: skip
    entries = []
    if s.scale or s.shift:
        entries = [
            Entry("weight", f"{row.path}.scale" if s.scale else row.path, "same" if s.scale else "ones", shape),
            Entry("bias", f"{row.path}.shift" if s.shift else row.path, "same" if s.shift else "zeros", shape),
        ]
    entries += [
        Entry("running_mean", f"{row.path}.running_mean", "same", shape),
        Entry("running_var", f"{row.path}.running_variance", "same", shape),
        Entry("num_batches_tracked", row.path, "count", ()),
    ]
    return Module(text, entries=entries)


def _local_response_norm(row: LayerRow) -> Module:
    s = row.settings
    name = "nn.LocalResponseNorm" if s.region == "across_channels" else "LocalResponseNormWithinChannel"
    return Module(_call(name, s.size, alpha=s.alpha, beta=s.beta, k=s.k))


def _prelu(row: LayerRow) -> Module:
    return Module(_call("nn.PReLU", *row.parameter_shapes["slope"]), entries=_entries(row, {"weight": "slope"}))


def _plain(text: str | Callable[[Any], str]) -> Writer:
    """A module without tensors; `text` of the settings."""
    return lambda row: Module(text if isinstance(text, str) else text(row.settings))


def _residual(row: LayerRow) -> Module:
    parts: list[tuple[str, Module | list[Module]]] = [("body", _images(row.parts[0].rows, row.output_shape))]
    if len(row.parts) > 1:
        parts.append(("shortcut", _images(row.parts[1].rows, row.output_shape)))
    else:
        plan = row.settings.subsampling(row.input_shape, row.output_shape)
        text = _call("ZeroPadded", plan.row_stride, plan.column_stride, plan.channels - plan.in_channels)
        parts.append(("shortcut", Module(text)))
    return Module("Residual", parts=parts)


def _branches(row: LayerRow) -> Module:
    name = "Concatenated" if row.settings.merge == "concat" else "Added"
    parts = [(f"branches.{part.label}", _images(part.rows, part.output_shape)) for part in row.parts]
    return Module(name, parts=list(parts))


Writer = Callable[[LayerRow], Module]
Wants = Literal["flat", "image", "any"]
_NOTHING = _plain("nn.Identity()")
_BY_NAME: dict[str, tuple[Wants, Writer]] = {
    "conv2d": ("image", _conv2d),
    "dense": ("flat", _dense),
    "max_pool2d": ("image", _pooling("nn.MaxPool2d")),
    "avg_pool2d": ("image", _pooling("nn.AvgPool2d")),
    "global_avg_pool2d": ("image", _plain("nn.AdaptiveAvgPool2d(1)")),
    "batch_norm2d": ("image", _batch_norm),
    "local_response_norm": ("image", _local_response_norm),
    "dropout": ("any", _plain(lambda s: _call("nn.Dropout", s.rate))),
    "flatten": ("flat", _NOTHING),
    "residual": ("image", _residual),
    "branches": ("image", _branches),
    "repeat": ("any", _NOTHING),
    "relu": ("any", _plain("nn.ReLU()")),
    "leaky_relu": ("any", _plain(lambda s: _call("nn.LeakyReLU", s.slope))),
    "prelu": ("image", _prelu),
    "elu": ("any", _plain(lambda s: _call("nn.ELU", s.alpha))),
    "selu": ("any", _plain("nn.SELU()")),
    "gelu": ("any", _plain(lambda s: _call("nn.GELU", approximate=_unless(s.approximate, "none")))),
    "silu": ("any", _plain("nn.SiLU()")),
    "softplus": ("any", _plain(lambda s: _call("nn.Softplus", s.beta))),
    "sigmoid": ("any", _plain("nn.Sigmoid()")),
    "tanh": ("any", _plain("nn.Tanh()")),
}
TABLE: dict[type[Layer], tuple[Wants, Writer]] = {LAYERS[name]: entry for name, entry in _BY_NAME.items()}
