"""The updates of a config in PyTorch: its optimisers, Muon, Lookahead, and rates of the layers' own. Needs torch."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from cnntrain.training.setup import Training


class Updates:
    """The config's optimiser in PyTorch, with the layers' own factors on rate and decay."""

    def __init__(self, training: Training, model: nn.Module) -> None:
        self.settings, self.name = training.config.optimizer.settings, training.config.optimizer.name
        self.training, self.parameters = training, training.network.parameters
        tensors = [parameter for parameter in model.parameters() if parameter.requires_grad]
        decay = self.settings.weight_decay
        if self.name == "muon" and self.settings.others.weight_decay is not None:
            decay = self.settings.others.weight_decay
        pairs = list(zip(tensors, self.parameters, strict=True))
        self.filters = [(t, p, torch.zeros_like(t)) for t, p in pairs if self.name == "muon" and t.dim() == 4]
        self.groups = [(t, p) for t, p in pairs if self.name != "muon" or t.dim() != 4]
        groups = [{"params": [t], "weight_decay": decay * p.weight_decay} for t, p in self.groups]
        self.optimizer = getattr(self, f"_{self.name}")(groups)
        self.lookahead = Lookahead(training, model) if self.settings.lookahead is not None else None
        self.previous_rate = 0.0
        self.steps = 0

    def _sgd(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups, 1.0, self.settings.momentum, nesterov=self.settings.nesterov)

    def _muon(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups, 1.0, self.settings.others.momentum, nesterov=self.settings.others.nesterov)

    def _adam(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.Adam(groups, 1.0, self.settings.betas, self.settings.eps)

    def _rmsprop(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(groups, 1.0, self.settings.alpha, self.settings.eps)

    def step(self, rate: float) -> None:
        """Update with this step's learning rate."""
        self.steps += 1
        for group, (tensor, parameter) in zip(self.optimizer.param_groups, self.groups, strict=True):
            own = self.training.optimizer.rate_of(parameter, rate, self.steps)
            if own is None:
                tensor.grad = None  # it learns no more
            group["lr"] = own or 0.0
            if self.name == "adam" and self.settings.form == "keras":  # eps before the bias correction
                group["eps"] = self.settings.eps / math.sqrt(1 - self.settings.betas[1] ** self.steps)
        if self.name == "sgd" and self.settings.form == "caffe" and self.previous_rate not in (0.0, rate):
            for state in self.optimizer.state.values():  # the velocity keeps the rates that it was made with
                state["momentum_buffer"] *= self.previous_rate / rate
        self.previous_rate = rate
        self.optimizer.step()
        for tensor, parameter, velocity in self.filters:
            own = self.training.optimizer.rate_of(parameter, rate, self.steps)
            if own:
                self._filters(tensor, velocity, own, own * self.settings.weight_decay * parameter.weight_decay)
        if self.lookahead is not None:
            self.lookahead.step(self.steps)

    @torch.no_grad()
    def _filters(self, tensor: torch.Tensor, velocity: torch.Tensor, rate: float, shrink: float) -> None:
        gradient, momentum = tensor.grad, self.settings.momentum
        assert gradient is not None
        velocity.mul_(momentum).add_(gradient)
        direction = gradient.add(velocity, alpha=momentum) if self.settings.nesterov else velocity
        if self.settings.normalize:
            tensor.mul_(len(tensor) ** 0.5 / tensor.norm())
        tensor.mul_(1 - shrink)
        moved = newton_schulz(direction.reshape(len(direction), -1), self.settings.steps)
        tensor.add_(moved.view(tensor.shape), alpha=-rate)


def newton_schulz(matrix: torch.Tensor, steps: int) -> torch.Tensor:
    """Bring the singular values of a matrix near 1, as torch.optim.Muon does, in float32."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / (matrix.norm() + 1e-7)
    if matrix.size(0) > matrix.size(1):
        x = x.T
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if matrix.size(0) > matrix.size(1) else x


class Lookahead:
    """Slow weights and running statistics, as in Jordan's airbench94."""

    def __init__(self, training: Training, model: nn.Module) -> None:
        self.settings, self.training = training.config.optimizer.settings.lookahead, training
        buffers = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
        self.fast = [parameter.detach() for parameter in model.parameters() if parameter.requires_grad] + buffers
        self.slow: list[torch.Tensor] | None = None

    def step(self, step: int) -> None:
        """Follow the step of this number, from 1."""
        settings, per_epoch, total = self.settings, self.training.steps_per_epoch, self.training.total_steps
        if (step - 1) / per_epoch >= settings.start_epochs and step % settings.every == 0:
            if self.slow is None:
                self.slow = [tensor.clone() for tensor in self.fast]
            else:
                self._meet(settings.keep * (step / total) ** settings.power)
        if self.slow is not None and (step % per_epoch == 0 or step == total):
            self._meet(1.0)

    def _meet(self, keep: float) -> None:
        assert self.slow is not None
        for slow, fast in zip(self.slow, self.fast, strict=True):
            slow.lerp_(fast, 1 - keep)
            fast.copy_(slow)
