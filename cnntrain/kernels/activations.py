"""Activations, element by element: forward y = f(z), and directly below it backward dL/dz = g f'(z), g = dL/dy.

Every derivative is written in terms of y, so that z need not be kept. ReLU keeps NaN: the comparison selects zero only
where z <= 0 holds.
"""

from __future__ import annotations

from cnntrain.kernels.elementwise import elementwise
from cnntrain.kernels.lanes import constant, select
from cnntrain.kernels.lanes.exponential import hyperbolic_tangent, logistic


@elementwise
def relu(z):
    """y = max(z, 0)."""
    return select(z <= constant(z, 0), constant(z, 0), z)


@elementwise
def relu_backward(g, y):
    """dL/dz = g where y > 0, zero elsewhere."""
    return select(y <= constant(y, 0), constant(y, 0), g)


@elementwise(numbers=1)
def leaky_relu(z, slope):
    """y = z where z > 0, slope * z elsewhere; slope > 0."""
    return select(z <= constant(z, 0), z * constant(z, slope), z)


@elementwise(numbers=1)
def leaky_relu_backward(g, y, slope):
    """dL/dz = g where y > 0, slope * g elsewhere."""
    return select(y <= constant(y, 0), g * constant(y, slope), g)


@elementwise
def sigmoid(z):
    """y = 1 / (1 + exp(-z))."""
    return logistic(z)


@elementwise
def sigmoid_backward(g, y):
    """dL/dz = g y (1 - y)."""
    return g * (y * (constant(y, 1) - y))


@elementwise
def tanh(z):
    """y = tanh(z)."""
    return hyperbolic_tangent(z)


@elementwise
def tanh_backward(g, y):
    """dL/dz = g (1 - y**2)."""
    return g * (constant(y, 1) - y * y)
