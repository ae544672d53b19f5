"""Beginning with the tensors of another network: `init: {from: ...}`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cnntrain.config import Config
from cnntrain.config.course import InitSettings
from cnntrain.config.problems import Problem
from cnntrain.errors import CheckpointError, ConfigError
from cnntrain.hints import nearest
from cnntrain.network import Network
from cnntrain.printable import printable
from cnntrain.runs.checkpoint import Tensors
from cnntrain.runs.folder import find_checkpoint
from cnntrain.runs.state_dict import StateDict, read_state_dict

SHOWN = 20  # tensors that are listed


def start_from(
    config: Config,
    network: Network,
    class_names: Sequence[str],
    tell: Callable[[str], None],
    warn: Callable[[str], None],
) -> None:
    """Give a new network the tensors that the config's `init` names; without `init` it stays as it is.

    Parameters
    ----------
    config : Config
    network : Network
        As its initialisers made it.
    class_names : sequence of str
        Of the data.
    tell, warn : callable
        Called with lines that the user should see.

    Raises
    ------
    ConfigError
        `skip` names something that the network does not have.
    RunFolderError
        There is no such run or file.
    CheckpointError
        The file is damaged, no tensor fits, or one that fits holds NaN or infinity.
    """
    if config.init is None:
        return
    path, own = find_checkpoint(Path(config.init.source)), network.state()
    skipped = _skipped(config, config.init, own)
    found = read_state_dict(path)
    reasons = {name: _misfit(name, own, found.tensors, skipped) for name in {**own, **found.tensors}}
    taken = [name for name, reason in reasons.items() if reason is None]
    if not taken:
        raise CheckpointError(
            f"{path}: no tensor fits the network of {config.name} by name and shape{_listed(reasons)}"
        )
    bad = [name for name in taken if not np.isfinite(found.tensors[name]).all()]
    if bad:
        raise CheckpointError(
            f"{path}: NaN or infinity in {', '.join(map(printable, bad[:5]))}: nothing can begin there"
        )
    network.load_state(own | {name: found.tensors[name].astype(own[name].dtype) for name in taken})
    after = "" if found.epoch is None else f" (epoch {found.epoch})"
    tell(
        f"init: {len(taken)} of {len(own)} tensors are those of {path}{after}, sha256 {_sha256(path)}{_listed(reasons)}"
    )
    _warn_of_classes(network, found, class_names, taken, warn)


def _skipped(config: Config, init: InitSettings, own: Tensors) -> set[str]:
    """Return the network's tensors that `skip` names; raises `ConfigError`, with the place, for a name of none."""
    skipped: set[str] = set()
    for index, name in enumerate(init.skip):
        matching = {tensor for tensor in own if f"{tensor}.".startswith(f"{name}.")}
        if not matching:
            known = sorted({tensor.rpartition(".")[0] for tensor in own})
            guess = nearest(name, known)
            meant = f"; did you mean {guess}?" if guess else f" (it has: {', '.join(known[:SHOWN])})"
            message = f'init.skip: the network has no layer or tensor "{printable(name)}"{meant}'
            document = config._document
            raise ConfigError(str(Problem(message, document.mark(["init", "skip", index]))) if document else message)
        skipped |= matching
    return skipped


def _misfit(name: str, own: Tensors, found: Tensors, skipped: set[str]) -> str | None:
    """Say why a tensor is not taken; None if it is."""
    if name not in own:
        return "not in this network"
    if name not in found:
        return "not in the file"
    if name in skipped:
        return "skipped"
    if found[name].shape != own[name].shape:
        return f"is {_shape(found[name].shape)} there, {_shape(own[name].shape)} here"
    return None if found[name].dtype.kind == "f" else f"has type {found[name].dtype} there"


def _listed(reasons: Mapping[str, str | None]) -> str:
    others = [f"{printable(name)}: {reason}" for name, reason in reasons.items() if reason is not None]
    if not others:
        return ""
    more = [f"and {len(others) - SHOWN} more"] if len(others) > SHOWN else []
    return "; not taken:\n  " + "\n  ".join([*others[:SHOWN], *more])


def _warn_of_classes(
    network: Network, found: StateDict, class_names: Sequence[str], taken: Sequence[str], warn: Callable[[str], None]
) -> None:
    """Warn where outputs that were learned for some classes begin to stand for others."""
    if found.class_names is None or found.class_names == tuple(class_names) or not network.parameters:
        return
    layer = network.parameters[-1].name.rpartition(".")[0]
    if any(name.startswith(f"{layer}.") for name in taken):
        there, here = (", ".join(map(printable, names[:5])) for names in (found.class_names, class_names))
        warn(
            f"init: {layer} was learned for other classes ({there}, ...) than these ({here}, ...); "
            f"skip: [{layer}] lets it begin anew"
        )


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a number"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
