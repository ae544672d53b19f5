"""TensorFlow without Keras: a whole step is one `tf.function`, with and without XLA, NHWC and NCHW.

What TensorFlow cannot do on a CPU shows when a variant is built, and leaves that variant out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.peers import protocol
from benchmarks.peers.layers import Pair, Run, Window, prepared
from benchmarks.peers.protocol import Array, Plan, Program
from benchmarks.peers.serving import serve

VARIANTS = ("NHWC", "NHWC, XLA", "NCHW")
STATISTICS = ("running_mean", "running_variance")


class Tensorflow(protocol.Peer):
    """Functions on variables."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        tf.config.threading.set_intra_op_parallelism_threads(plan["threads"])
        tf.config.threading.set_inter_op_parallelism_threads(1)

    def version(self) -> str:
        return f"TensorFlow {tf.__version__}"

    def threads(self) -> int:
        return int(tf.config.threading.get_intra_op_parallelism_threads())

    def variants(self, mode: str) -> Sequence[str]:
        return VARIANTS

    def program(self, mode: str, variant: str, state: Mapping[str, Array]) -> Program:
        layout, compiled = variant[:4], "XLA" in variant
        plan, operations = self.plan, TensorflowOperations(layout)
        tensors = {k: tf.Variable(v, name="v") for k, v in prepared(plan["layers"], state, operations).items()}
        order = (0, 2, 3, 1) if layout == "NHWC" else (0, 1, 2, 3)
        batches = [
            (tf.constant(np.ascontiguousarray(x.transpose(order))), tf.constant(y.astype(np.int32)))
            for x, y in protocol.batches(plan)
        ]
        make = _evaluation if mode == "evaluation" else _training
        return make(operations, tensors, batches, plan, compiled=compiled)


class TensorflowOperations:
    """The operations of `layers.Operations`."""

    def __init__(self, layout: str) -> None:
        self.format = layout

    def convolution(self, x: Any, weight: Any, window: Window) -> Any:
        strides, dilation = self._whole(window.stride, 1), window.dilation
        padding = self._padding(x, window)
        if self._by_channels(x, window):
            return tf.nn.depthwise_conv2d(x, weight, strides, padding, self.format, dilation)
        return tf.nn.conv2d(x, weight, strides, padding, self.format, dilation)

    def convolution_weight(self, weight: Array, window: Window) -> Array:
        ordered = weight.transpose(2, 3, 1, 0)
        if window.groups == weight.shape[0] and weight.shape[1] == 1 and window.groups > 1:
            return ordered.transpose(0, 1, 3, 2)  # depthwise: (rows, columns, channels, 1)
        return ordered

    def add_bias(self, x: Any, bias: Any) -> Any:
        return tf.nn.bias_add(x, bias, self.format)

    def max_pool(self, x: Any, window: Window) -> Any:
        return self._pool(tf.nn.max_pool2d, x, window, x.dtype.min)

    def sum_pool(self, x: Any, window: Window) -> Any:
        # The framework's mean leaves the padding out of its count where it pads itself: pad before.
        padded = self._padded(x, window, 0.0)
        means = tf.nn.avg_pool2d(padded, window.size, window.stride, "VALID", self.format)
        return means * float(window.size[0] * window.size[1])

    def matrix(self, x: Any, weight: Any) -> Any:
        return tf.matmul(x, weight)

    def flat(self, x: Any) -> Any:
        return tf.reshape(x, (x.shape[0], -1))

    def mean(self, x: Any) -> Any:
        return tf.reduce_mean(x, (1, 2) if self.format == "NHWC" else (2, 3))

    def batch_norm(
        self, x: Any, scale: Any, shift: Any, running: tuple[Any, Any], epsilon: float, *, training: bool
    ) -> tuple[Any, Any, Any]:
        found: tuple[Any, Any, Any] = tf.compat.v1.nn.fused_batch_norm(
            x, scale, shift, None if training else running[0], None if training else running[1], epsilon,
            self.format, is_training=training,
        )  # fmt: skip
        return found

    def relu(self, x: Any) -> Any:
        return tf.nn.relu(x)

    def tanh(self, x: Any) -> Any:
        return tf.tanh(x)

    def subsampled(self, x: Any, strides: Pair, channels: int) -> Any:
        if self.format == "NHWC":
            return tf.pad(x[:, :: strides[0], :: strides[1]], ((0, 0), (0, 0), (0, 0), (0, channels)))
        return tf.pad(x[:, :, :: strides[0], :: strides[1]], ((0, 0), (0, channels), (0, 0), (0, 0)))

    def _whole(self, pixels: Any, other: Any) -> Any:
        return [other, *pixels, other] if self.format == "NHWC" else [other, other, *pixels]

    def _by_channels(self, x: Any, window: Window) -> bool:
        return window.groups > 1 and window.groups == x.shape[self.format.index("C")]

    def _padding(self, x: Any, window: Window) -> Any:
        """Name the padding where the framework has a word for it: its own paddings are faster."""
        if window.padding == ((0, 0), (0, 0)):
            return "VALID"
        sizes = [x.shape[self.format.index(axis)] for axis in "HW"]
        places = zip(sizes, window.size, window.stride, window.dilation, window.padding, strict=True)
        if all(_same(*place) == place[-1] for place in places):
            return "SAME"
        return self._whole(window.padding, (0, 0))

    def _pool(self, pool: Any, x: Any, window: Window, blank: float) -> Any:
        padding = self._padding(x, window)
        if not isinstance(padding, str):
            x, padding = self._padded(x, window, blank), "VALID"
        return pool(x, window.size, window.stride, padding, self.format)

    def _padded(self, x: Any, window: Window, blank: float) -> Any:
        if window.padding == ((0, 0), (0, 0)):
            return x
        return tf.pad(x, self._whole(window.padding, (0, 0)), constant_values=blank)


def _same(length: int, size: int, stride: int, dilation: int, padding: Pair) -> Pair:
    """Return what TensorFlow's "SAME" pads."""
    del padding
    output = -(-length // stride)
    total = max((output - 1) * stride + dilation * (size - 1) + 1 - length, 0)
    return total // 2, total - total // 2


def _evaluation(
    operations: TensorflowOperations, tensors: Any, batches: Sequence[Any], plan: Plan, *, compiled: bool
) -> Program:
    number = 0

    @tf.function(jit_compile=compiled)
    def logits(x: Any) -> Any:
        return Run(operations, tensors, training=False).sequence(plan["layers"], x)

    def step() -> None:
        nonlocal number
        number += 1
        logits(batches[number % len(batches)][0]).numpy()

    return Program(step, lambda: logits(batches[0][0]).numpy())


def _training(
    operations: TensorflowOperations, tensors: Any, batches: Sequence[Any], plan: Plan, *, compiled: bool
) -> Program:
    settings, number = plan["optimizer"], 0
    weights = {name: value for name, value in tensors.items() if not name.endswith(STATISTICS)}
    velocities = {name: tf.Variable(tf.zeros_like(value)) for name, value in weights.items()}

    @tf.function(jit_compile=compiled)
    def update(x: Any, y: Any, rate: Any) -> Any:
        with tf.GradientTape() as tape:
            run = Run(operations, tensors, training=True)
            logits = run.sequence(plan["layers"], x)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))
        gradients = tape.gradient(loss, list(weights.values()))
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
            tf.raw_ops.ResourceApplyMomentum(
                var=weight.handle, accum=velocities[name].handle, lr=rate, momentum=settings["momentum"],
                grad=gradient + settings["weight_decay"] * weight, use_nesterov=settings["nesterov"],
            )  # fmt: skip
        for name, value in run.updates.items():
            tensors[name].assign(value)
        return loss

    def step_on(batch: Any, rate: Any) -> float:
        return float(update(*batch, rate))

    usual = tf.constant(protocol.LEARNING_RATE)

    def step() -> None:
        nonlocal number
        number += 1
        step_on(batches[number % len(batches)], usual)

    return Program(step, lambda: np.array([step_on(batches[0], tf.constant(plan["rate"])) for _ in range(2)]))


if __name__ == "__main__":
    serve(Tensorflow)
