"""The words of programs for few images: what those who write them and the kernels agree on. Needs no Numba.

An instruction is `WIDTH` whole numbers: what is done, then what the function of that name reads (`kernels.few_windows`,
`kernels.few_channels`).
"""

from __future__ import annotations

WIDTH = 16
(
    WINDOWS, DEPTHWISE, ACTIVATE, PER_CHANNEL, MAX_POOL, AVERAGE_POOL, BORDERED, ADD, ADD_SUBSAMPLED, COPY_CHANNELS,
    LOCAL_RESPONSE,
) = range(11)  # fmt: skip
# the functions of ACTIVATE
RELU, LEAKY_RELU, SIGMOID, TANH, ELU, SILU, GELU, GELU_TANH, SOFTPLUS = range(9)
