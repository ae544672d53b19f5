"""Train small convolutional networks on the CPU: one YAML file, one command, every gradient checked.

`import cnntrain` is quick: Numba and pydantic are imported when something needs them.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from cnntrain.api import TrainedNetwork

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(run_or_checkpoint: str | Path, *, allow_extensions: bool = False) -> TrainedNetwork:
    """Load a trained network; see `cnntrain.api.TrainedNetwork` for what it offers.

    Parameters
    ----------
    run_or_checkpoint : str or Path
        A run folder (its `best.safetensors` is taken) or a checkpoint file.
    allow_extensions : bool
        Run the Python files that the network's config names for layers of the user's own.

    Raises
    ------
    RunFolderError
        There is no such run or checkpoint.
    CheckpointError
        The file is damaged or contradicts itself.
    ExtensionError
        The network has layers of the user's own, and their file may not be run or has an error.
    """
    from cnntrain.api import TrainedNetwork
    from cnntrain.extensions import allowed

    with allowed() if allow_extensions else nullcontext():
        return TrainedNetwork.load(run_or_checkpoint)
