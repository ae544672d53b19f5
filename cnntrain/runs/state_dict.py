"""The weights in a file: of a checkpoint, or of any safetensors file, such as a state dict that PyTorch wrote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from cnntrain.errors import CheckpointError
from cnntrain.runs.checkpoint import KEY, Tensors, check_header, read_checkpoint, tensor_of


@dataclass(frozen=True)
class StateDict:
    """Tensors by name.

    Attributes
    ----------
    class_names : tuple of str, or None
        What the network that they are of can tell apart; None if the file does not say.
    epoch : int or None
        Epochs of training behind them; None if the file does not say.
    """

    tensors: Tensors
    class_names: tuple[str, ...] | None = None
    epoch: int | None = None


def read_state_dict(path: Path) -> StateDict:
    """Read the weights to use of a checkpoint, or all tensors of another safetensors file.

    Raises
    ------
    CheckpointError
        No safetensors file, damaged, or with tensors of a type that NumPy does not have.
    """
    try:
        check_header(path)
        with safe_open(path, framework="numpy") as file:
            if KEY not in (file.metadata() or {}):
                return StateDict({name: tensor_of(path, file, name) for name in file.keys()})  # noqa: SIM118, not a dict
    except SafetensorError as error:
        raise CheckpointError(f"{path}: is damaged or no safetensors file: {error}") from error
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    checkpoint = read_checkpoint(path)
    metadata = checkpoint.metadata
    return StateDict(checkpoint.weights_to_use, metadata.class_names, metadata.progress.epoch)
