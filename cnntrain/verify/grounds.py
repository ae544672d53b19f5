"""Small networks on which mutants are tried, and how `prove` and `gradcheck` are asked about them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cnntrain.config import Config, infer_shapes, parse_config
from cnntrain.errors import CnntrainError
from cnntrain.layers import LayerRow
from cnntrain.network import Network
from cnntrain.shape import Shape
from cnntrain.verify.gradients import check_gradients
from cnntrain.verify.proof_network import prove_network
from cnntrain.verify.proof_optimizer import prove_optimizer

IMAGES, CLASSES = 20, 4  # a full block and one that is not
TRIALS = 2


@dataclass(frozen=True)
class Ground:
    """A network of a few layers; a dense layer for the classes follows.

    Attributes
    ----------
    layers : str
        The YAML list.
    shape : tuple of int
        Of the images.
    loss, optimizer : str
        As in the YAML.
    updates : bool
        It is about the optimiser, and only that is proven.
    direct : bool
        Convolutions are computed directly, as `train.convolution: direct` asks for.
    """

    layers: str
    shape: tuple[int, int, int] = (2, 6, 7)
    loss: str = "cross_entropy"
    optimizer: str = "{sgd: {learning_rate: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.01}}"
    updates: bool = False
    direct: bool = True

    @cached_property
    def config(self) -> Config:
        """The whole config."""
        text = (
            f"data: {{source: mnist, path: none}}\noptimizer: {self.optimizer}\nloss: {self.loss}\n"
            f"network: {self.layers[:-1]}{', ' * (self.layers != '[]')}dense: classes]\n"
        )
        return parse_config(text, "mutants.yaml")

    @property
    def rows(self) -> list[LayerRow]:
        """The planned layers."""
        return infer_shapes(self.config, Shape(*self.shape), CLASSES)

    def proven(self) -> str:
        """Return what `prove` finds wrong; empty if nothing."""
        config = self.config
        try:
            if self.updates:
                proofs = prove_optimizer(config.optimizer)
            else:
                proofs = prove_network(
                    self.rows, IMAGES, loss=config.loss, trials=TRIALS, types=[np.dtype(np.float64)],
                    direct=self.direct,
                )  # fmt: skip
        except CnntrainError as error:
            return f"stops: {error}"
        return next((f"{proof.path} {proof.name}: {proof.note}" for proof in proofs if proof.verdict == "WRONG"), "")

    def checked(self) -> str:
        """Return what the gradient check finds wrong; empty if nothing."""
        try:
            network = Network(
                self.rows, batch_size=IMAGES, loss=self.config.loss, dtype=np.float64, needs_grad_input=True,
                direct=self.direct,
            )  # fmt: skip
            generator = np.random.default_rng(2)
            for parameter in network.parameters:  # biases too: nothing shall be right because it is zero
                parameter.value += 0.1 * generator.standard_normal(parameter.value.shape)
            for statistic in network.statistics:
                statistic.value += 0.3 * generator.random(statistic.value.shape)
            images = generator.standard_normal((IMAGES - 2, *self.shape))
            checks = check_gradients(network, images, generator.integers(0, CLASSES, len(images)))
        except CnntrainError as error:
            return f"stops: {error}"
        return next((check.name for check in checks if check.verdict == "WRONG"), "")


def _convolution(more: str = "", filters: int = 4) -> str:
    return f"[conv2d: {{filters: {filters}, kernel_size: 3{more}}}, tanh]"


GROUNDS: dict[str, Ground] = {
    "convolution": Ground(_convolution(", padding: 1")),
    "two convolutions": Ground(
        "[conv2d: {filters: 4, kernel_size: 1}, conv2d: {filters: 4, kernel_size: 3, padding: 1}, tanh]"
    ),
    "stride": Ground(_convolution(", padding: 1, stride: 2"), (2, 6, 8)),
    "dilation": Ground(_convolution(", padding: 2, dilation: 2")),
    "groups": Ground(_convolution(", groups: 2"), (4, 6, 7)),
    "mode: convolution": Ground(_convolution(", padding: 1, mode: convolution")),
    "depthwise": Ground(_convolution(", padding: 1, groups: 4"), (4, 6, 7)),
    "winograd": Ground(_convolution(", padding: 1", 16), (16, 12, 12), direct=False),
    "convolution and pooling": Ground("[conv2d: {filters: 4, kernel_size: 3}, max_pool2d: 2, tanh]", (2, 8, 8)),
    "dense": Ground("[dense: 6, tanh]", (2, 3, 2)),
    "square dense": Ground("[dense: 12, tanh]", (2, 3, 2)),
    "max": Ground("[conv2d: {filters: 4, kernel_size: 1}, silu, max_pool2d: {kernel_size: 3, stride: 1}, tanh]"),
    "padded max": Ground(
        "[conv2d: {filters: 4, kernel_size: 1}, silu, max_pool2d: {kernel_size: 3, stride: 2, padding: 1}, tanh]"
    ),
    "average": Ground("[avg_pool2d: {kernel_size: 3, stride: 2, padding: 1}, tanh]"),
    "sum": Ground("[residual: [tanh], tanh]"),
    "zero-padded sum": Ground(
        "[residual: {body: [conv2d: {filters: 4, kernel_size: 3, stride: 2, padding: 1}], shortcut: zero_padded}, tanh]"
    ),
    "concatenation": Ground("[branches: [[tanh], [sigmoid], []], tanh]"),
    "sum of three": Ground("[branches: {sequences: [[tanh], [sigmoid], []], merge: add}, tanh]"),
    "activations": Ground("[tanh, conv2d: {filters: 2, kernel_size: 1}, sigmoid]"),
    "rectifiers": Ground("[dense: 6, relu, dense: 6, leaky_relu: 0.2]", (2, 3, 2)),
    "smooth rectifiers": Ground("[silu, {elu: 0.5}, {softplus: 2.0}]", (2, 3, 4)),
    "prelu": Ground("[prelu]"),
    "batch norm": Ground("[batch_norm2d: {epsilon: 0.1}, tanh]"),
    "frozen batch norm": Ground("[batch_norm2d: {frozen: true}, tanh]"),
    "local response": Ground("[local_response_norm: {size: 3, alpha: 0.5}, tanh]", (4, 3, 3)),
    "dropout": Ground("[dropout: 0.4, tanh]"),
    "label smoothing": Ground("[]", (2, 3, 2), "{cross_entropy: {label_smoothing: 0.2}}"),
    "class weights": Ground("[]", (2, 3, 2), "{cross_entropy: {class_weights: [1.0, 2.0, 0.5, 0.25]}}"),
    "mse": Ground("[]", (2, 3, 2), "mse"),
    "hinge": Ground("[]", (2, 3, 2), "hinge"),
    "sgd": Ground("[]", (2, 3, 2), updates=True),
    "sgd of caffe": Ground(
        "[]", (2, 3, 2), updates=True,
        optimizer="{sgd: {learning_rate: 0.1, momentum: 0.9, form: caffe, clip_value: 0.5, ema: 0.9}}",
    ),
    "adam": Ground("[]", (2, 3, 2), optimizer="{adam: {learning_rate: 0.01, weight_decay: 0.1}}", updates=True),
    "adamw": Ground("[]", (2, 3, 2), optimizer="{adamw: {learning_rate: 0.01, clip_norm: 1.0}}", updates=True),
    "rmsprop": Ground("[]", (2, 3, 2), optimizer="{rmsprop: {learning_rate: 0.01}}", updates=True),
}  # fmt: skip
