"""Our side of the comparison: whole steps, the loading and normalising of the batch included.

Beside that it is the yardstick: it draws the weights that all start from and writes them, with the answers of its own
network, into the file `state` of the plan; and the network as ONNX, where the plan has a path for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import protocol
from benchmarks.peers.protocol import Array, Plan, Program
from benchmarks.peers.serving import serve
from cnntrain.machine import FEW

LOWER = 0.95  # of the loss: a step that lowers it so far is far enough for a wrong gradient to show
RATES = [1e-3 * 2**k for k in range(11)]


class Cnntrain(protocol.Peer):
    """The network of the plan's config; number of threads: NUMBA_NUM_THREADS."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        from cnntrain.bench.subject import subject_of_config
        from cnntrain.kernels.compiler.report import announce
        from cnntrain.optimizers import OPTIMIZERS
        from cnntrain.shape import Shape
        from cnntrain.warm_up import warm_up_few_images

        self.subject = subject_of_config(
            Path(plan["config"]), plan["overrides"], Shape(*plan["image"]), plan["classes"]
        )
        self.compiled: list[str] = []
        with announce(self.compiled.append):
            self.subject.warm_up()
            if plan["batch_size"] <= FEW:
                warm_up_few_images(self.subject.network, np.dtype(np.uint8))
        network = self.subject.network
        for parameter in network.parameters:  # others know no factors for single tensors
            parameter.learning_rate = parameter.weight_decay = 1.0
        choice = self.subject.config.optimizer
        self._new_optimizer: Callable[[], Any] = lambda: OPTIMIZERS[choice.name](choice.settings, network.parameters)
        self._images, self._labels = protocol.synthetic(plan)
        self._normalization = _normalization(plan["image"][0])
        self._first = np.arange(plan["batch_size"])
        self._state = drawn(network.state())
        self._write()

    def version(self) -> str:
        import numba

        from cnntrain import __version__

        return f"cnntrain {__version__}, Numba {numba.__version__}"

    def threads(self) -> int:
        import numba

        return numba.get_num_threads()

    def about(self) -> dict[str, Any]:
        from numba.np.ufunc.parallel import threading_layer

        from cnntrain.machine import this_machine

        return {
            "parameters": sum(parameter.value.size for parameter in self.subject.network.parameters),
            "threading_layer": threading_layer(),
            "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "register_bytes": this_machine().register_bytes,
            "compiled": len(self.compiled),
            "rate": self.rate,
        }

    def variants(self, mode: str) -> Sequence[str]:
        return [""]

    def program(self, mode: str, variant: str, state: Mapping[str, Array]) -> Program:
        if mode == "evaluation":
            few = self.plan["batch_size"] <= FEW  # as `cnntrain.load(run).predict` computes so many
            return Program(self._predict if few else self.subject.evaluate, self._logits)
        return Program(self.subject.train, lambda: self._losses(self.rate))

    def _logits(self) -> Array:
        network = self.subject.network
        network.load_state(self._state)
        return self._predict() if self.plan["batch_size"] <= FEW else self._evaluated()

    def _evaluated(self) -> Array:
        self._load()
        self.subject.network.forward()
        return self.subject.network.logits()

    def _predict(self) -> Array:
        images = self._images[: self.plan["batch_size"]]
        logits: Array = self.subject.network.predict_logits(images, self._normalization)
        return logits

    def _losses(self, rate: float) -> Array:
        """Make two steps on the first batch, from the drawn weights."""
        network = self.subject.network
        network.load_state(self._state)
        self.subject.optimizer = self._new_optimizer()
        losses = []
        for number in range(2):
            self._load()
            network.forward(training=True, step=number)
            losses.append(network.loss(self._labels[self._first]))
            network.backward()
            self.subject.optimizer.step(rate)
        return np.array(losses)

    def _load(self) -> None:
        self.subject.network.load(self._images, self._first, self._normalization)

    def _write(self) -> None:
        logits = self._logits()
        with np.errstate(all="ignore"):
            for self.rate in RATES:
                losses = self._losses(self.rate)
                if losses[1] < LOWER * losses[0]:
                    break
            else:
                raise SystemExit(f"{self.plan['name']}: no learning rate of {RATES} lowers the loss")
        arrays: dict[str, Any] = {**self._state, "logits": logits, "losses": losses}
        np.savez(self.plan["state"], **arrays)
        if self.plan.get("onnx"):
            self._write_onnx(Path(self.plan["onnx"]))

    def _write_onnx(self, path: Path) -> None:
        from cnntrain.config import infer_shapes
        from cnntrain.export.model import Model
        from cnntrain.export.onnx import onnx_bytes
        from cnntrain.shape import Shape

        config = self.subject.config
        rows = infer_shapes(config, Shape(*self.plan["image"]), self.plan["classes"])
        names = [str(number) for number in range(self.plan["classes"])]
        model = Model(config.name, rows, self._state, names, "uint8", _normalization(self.plan["image"][0]))
        path.write_bytes(onnx_bytes(model))


def _normalization(channels: int) -> Any:
    """Bytes to -1 ... 1."""
    from cnntrain.data import Normalization

    half = np.full(channels, 0.5, np.float32)
    return Normalization(half, half, 255.0)


def drawn(state: Mapping[str, Array]) -> dict[str, Array]:
    """Draw every tensor: He's scale for weights, and nothing that a wrong program could take for 0 or 1."""
    random = np.random.default_rng(2)
    found: dict[str, Array] = {}
    for name, value in state.items():
        kind, noise = name.rpartition(".")[2], random.standard_normal(value.shape)
        if kind == "weight":
            drawn = noise * np.sqrt(2 / np.prod(value.shape[1:]))
        elif kind in ("scale", "running_variance"):
            drawn = 1 + 0.2 * np.abs(noise)
        else:
            drawn = 0.1 * noise
        found[name] = drawn.astype(value.dtype)
    return found


if __name__ == "__main__":
    serve(Cnntrain)
