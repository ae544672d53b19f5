"""ELU and SELU, SiLU, GELU, softplus: forward y = f(z), and directly below it backward dL/dz = g f'(z), g = dL/dy.

As in `kernels.activations`, but where f does not rise everywhere its slope cannot be told from y: SiLU and GELU read z.
"""

from __future__ import annotations

from cnntrain.kernels.compiler.jit import kernel
from cnntrain.kernels.elementwise import elementwise
from cnntrain.kernels.lanes import absolute, constant, fma, select
from cnntrain.kernels.lanes.exponential import exponential, exponential_minus_one
from cnntrain.kernels.lanes.logarithm import logarithm_1p
from cnntrain.kernels.lanes.normal import normal_distribution

GELU_LINEAR = 0.7978845608028654  # sqrt(2 / pi)
GELU_CUBIC = 0.044715
NORMAL_PEAK = 0.3989422804014327  # 1 / sqrt(2 pi)


@kernel
def logistic_and_rest(x):
    """Return s = 1 / (1 + exp(-x)) and 1 - s, both to the last digit."""
    small = exponential(constant(x, 0.0) - absolute(x))
    large = constant(x, 1.0) / (constant(x, 1.0) + small)
    small = small * large
    negative = x < constant(x, 0.0)
    return select(negative, small, large), select(negative, large, small)


@elementwise(numbers=2)
def elu(z, positive, negative):
    """y = positive * z where z > 0, negative * (exp(z) - 1) elsewhere (Clevert et al. 2016; SELU: Klambauer 2017)."""
    curve = exponential_minus_one(z) * constant(z, negative)
    return select(z <= constant(z, 0), curve, z * constant(z, positive))


@elementwise(numbers=2)
def elu_backward(g, y, positive, negative):
    """dL/dz = g * positive where y > 0, g * (y + negative) elsewhere."""
    return g * select(y > constant(y, 0), constant(y, positive), y + constant(y, negative))


@elementwise
def silu(z):
    """y = z s with s = 1 / (1 + exp(-z)) (Elfwing et al. 2018; also called swish)."""
    s, _ = logistic_and_rest(z)
    return z * s


@elementwise
def silu_backward(g, z):
    """dL/dz = g s (1 + z (1 - s))."""
    s, rest = logistic_and_rest(z)
    return g * fma(s * rest, z, s)


@elementwise
def gelu(z):
    """y = z P(z), P the standard normal distribution function (Hendrycks and Gimpel 2016)."""
    probability, _ = normal_distribution(z)
    return z * probability


@elementwise
def gelu_backward(g, z):
    """dL/dz = g (P(z) + z p(z)), p the density."""
    probability, bell = normal_distribution(z)
    return g * fma(z * constant(z, NORMAL_PEAK), bell, probability)


@elementwise
def gelu_tanh(z):
    """y = z / 2 (1 + tanh(u)) = z / (1 + exp(-2 u)) with u = sqrt(2 / pi) (z + 0.044715 z**3)."""
    cubic = fma(z * z, constant(z, GELU_CUBIC), constant(z, 1.0))
    s, _ = logistic_and_rest(z * constant(z, 2 * GELU_LINEAR) * cubic)
    return z * s


@elementwise
def gelu_tanh_backward(g, z):
    """dL/dz = g s (1 + z (1 - s) d(2 u)/dz) with s = 1 / (1 + exp(-2 u))."""
    square = z * z
    cubic = fma(square, constant(z, GELU_CUBIC), constant(z, 1.0))
    rise = fma(square, constant(z, 3 * GELU_CUBIC), constant(z, 1.0)) * constant(z, 2 * GELU_LINEAR)
    s, rest = logistic_and_rest(z * constant(z, 2 * GELU_LINEAR) * cubic)
    return g * fma(s * rest, z * rise, s)


@elementwise(numbers=1)
def softplus(z, beta):
    """y = log(1 + exp(beta z)) / beta = max(z, 0) + log(1 + exp(-beta |z|)) / beta, which cannot overflow."""
    small = exponential(constant(z, 0.0) - absolute(z) * constant(z, beta))
    ramp = select(z <= constant(z, 0.0), constant(z, 0.0), z)
    return ramp + logarithm_1p(small) / constant(z, beta)


@elementwise(numbers=1)
def softplus_backward(g, y, beta):
    """dL/dz = g / (1 + exp(-beta z)) = g (1 - exp(-beta y))."""
    slope = exponential_minus_one(constant(y, 0.0) - y * constant(y, beta))
    return (constant(y, 0.0) - slope) * g
