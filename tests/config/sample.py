"""A config that is right, for tests that make it wrong."""

from __future__ import annotations

import pytest

from cnntrain.config import parse_config
from cnntrain.errors import ConfigError

SAMPLE = """\
seed: 1
data:
  source: mnist
  path: data/mnist
  validation: 5000
network:
  - conv2d: {filters: 6, kernel_size: 5}
  - tanh
  - max_pool2d: 2
  - dense: classes
optimizer:
  sgd: {learning_rate: 0.05, weight_decay: 5e-4}
train:
  epochs: 5
  batch_size: 64
"""


def sample(*changes: tuple[str, str]) -> str:
    """Return the sample with texts replaced, each at its first place."""
    text = SAMPLE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def failure(text: str, *overrides: str) -> str:
    """Return what parsing a wrong config says."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "a.yaml", overrides)
    return str(caught.value)
