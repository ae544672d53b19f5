"""JAX: a whole step is one compiled function, on arrays laid out as (N, H, W, C) or (N, C, H, W)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.peers import protocol
from benchmarks.peers.layers import Pair, Run, Window, prepared
from benchmarks.peers.protocol import Array, Plan, Program
from benchmarks.peers.serving import serve

FORMATS = ("NHWC", "NCHW")
STATISTICS = ("running_mean", "running_variance")


class Jax(protocol.Peer):
    """Compiled functions; the number of threads follows the processors that the process may use and NPROC."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        if "cache" in plan:
            jax.config.update("jax_compilation_cache_dir", plan["cache"])
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)

    def version(self) -> str:
        return f"JAX {jax.__version__}"

    def threads(self) -> int:
        return int(os.environ["NPROC"])

    def variants(self, mode: str) -> Sequence[str]:
        return FORMATS

    def program(self, mode: str, variant: str, state: Mapping[str, Array]) -> Program:
        plan, operations = self.plan, JaxOperations(variant)
        tensors = {k: jnp.asarray(v) for k, v in prepared(plan["layers"], state, operations).items()}
        order = (0, 2, 3, 1) if variant == "NHWC" else (0, 1, 2, 3)
        batches = [
            (jnp.asarray(np.ascontiguousarray(x.transpose(order))), jnp.asarray(y.astype(np.int32)))
            for x, y in protocol.batches(plan)
        ]
        if mode == "evaluation":
            return _evaluation(operations, tensors, batches, plan)
        return _training(operations, tensors, batches, plan)


class JaxOperations:
    """The operations of `layers.Operations`."""

    def __init__(self, layout: str) -> None:
        self.format = layout
        self._pixels = (1, 2) if layout == "NHWC" else (2, 3)

    def convolution(self, x: Any, weight: Any, window: Window) -> Any:
        weights = "HWIO" if self.format == "NHWC" else "OIHW"
        return lax.conv_general_dilated(
            x, weight, window.stride, window.padding, rhs_dilation=window.dilation,
            dimension_numbers=(self.format, weights, self.format), feature_group_count=window.groups,
        )  # fmt: skip

    def convolution_weight(self, weight: Array, window: Window) -> Array:
        return weight.transpose(2, 3, 1, 0) if self.format == "NHWC" else weight

    def add_bias(self, x: Any, bias: Any) -> Any:
        return x + self._by_channel(bias, x)

    def max_pool(self, x: Any, window: Window) -> Any:
        return self._reduce(x, -np.inf, lax.max, window)

    def sum_pool(self, x: Any, window: Window) -> Any:
        return self._reduce(x, 0.0, lax.add, window)

    def matrix(self, x: Any, weight: Any) -> Any:
        return x @ weight

    def flat(self, x: Any) -> Any:
        return x.reshape(x.shape[0], -1)

    def mean(self, x: Any) -> Any:
        return x.mean(self._pixels)

    def batch_norm(
        self, x: Any, scale: Any, shift: Any, running: tuple[Any, Any], epsilon: float, *, training: bool
    ) -> tuple[Any, Any, Any]:
        mean, variance = unbiased = running
        if training:
            axes = (0, *self._pixels) if x.ndim == 4 else (0,)
            mean = x.mean(axes)
            variance = (x * x).mean(axes) - mean * mean
            count = x.size // mean.size
            unbiased = mean, variance * (count / (count - 1))
        factor = scale * lax.rsqrt(variance + epsilon)
        y = x * self._by_channel(factor, x) + self._by_channel(shift - mean * factor, x)
        return (y, *unbiased)

    def relu(self, x: Any) -> Any:
        return jax.nn.relu(x)

    def tanh(self, x: Any) -> Any:
        return jnp.tanh(x)

    def subsampled(self, x: Any, strides: Pair, channels: int) -> Any:
        if self.format == "NHWC":
            return jnp.pad(x[:, :: strides[0], :: strides[1]], ((0, 0), (0, 0), (0, 0), (0, channels)))
        return jnp.pad(x[:, :, :: strides[0], :: strides[1]], ((0, 0), (0, channels), (0, 0), (0, 0)))

    def _by_channel(self, values: Any, x: Any) -> Any:
        return values[:, None, None] if self.format == "NCHW" and x.ndim == 4 else values

    def _reduce(self, x: Any, start: float, reducer: Any, window: Window) -> Any:
        def whole(pixels: Any, other: Any) -> Any:
            return (other, *pixels, other) if self.format == "NHWC" else (other, other, *pixels)

        none = (0, 0)
        return lax.reduce_window(
            x, start, reducer, whole(window.size, 1), whole(window.stride, 1), whole(window.padding, none)
        )


def _evaluation(operations: JaxOperations, tensors: Any, batches: Sequence[Any], plan: Plan) -> Program:
    number = 0

    @jax.jit
    def logits(tensors: Any, x: Any) -> Any:
        return Run(operations, tensors, training=False).sequence(plan["layers"], x)

    def step() -> None:
        nonlocal number
        number += 1
        logits(tensors, batches[number % len(batches)][0]).block_until_ready()

    return Program(step, lambda: np.asarray(logits(tensors, batches[0][0])))


def _training(operations: JaxOperations, tensors: Any, batches: Sequence[Any], plan: Plan) -> Program:
    settings, number = plan["optimizer"], 0
    statistics = {name: value for name, value in tensors.items() if name.endswith(STATISTICS)}
    weights = {name: value for name, value in tensors.items() if name not in statistics}
    kept = (weights, statistics, {name: jnp.zeros_like(value) for name, value in weights.items()})

    def loss_of(weights: Any, statistics: Any, x: Any, y: Any) -> Any:
        run = Run(operations, {**weights, **statistics}, training=True)
        log_probabilities = jax.nn.log_softmax(run.sequence(plan["layers"], x))
        return -jnp.take_along_axis(log_probabilities, y[:, None], 1).mean(), run.updates

    def update(kept: Any, x: Any, y: Any, rate: Any) -> Any:
        weights, statistics, velocities = kept
        (loss, statistics), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights, statistics, x, y)
        momentum, new_weights, new_velocities = settings["momentum"], {}, {}
        for name, weight in weights.items():
            gradient = gradients[name] + settings["weight_decay"] * weight
            velocity = momentum * velocities[name] + gradient
            new_velocities[name] = velocity
            new_weights[name] = weight - rate * (gradient + momentum * velocity if settings["nesterov"] else velocity)
        return (new_weights, statistics, new_velocities), loss

    compiled = jax.jit(update, donate_argnums=0)

    def step_on(batch: Any, rate: float) -> float:
        nonlocal kept
        kept, loss = compiled(kept, *batch, np.float32(rate))
        jax.block_until_ready((kept, loss))
        return float(loss)

    def step() -> None:
        nonlocal number
        number += 1
        step_on(batches[number % len(batches)], protocol.LEARNING_RATE)

    return Program(step, lambda: np.array([step_on(batches[0], plan["rate"]) for _ in range(2)]))


if __name__ == "__main__":
    serve(Jax)
