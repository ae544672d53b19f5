"""Losses that ask for a margin between the label's output and the others; arrays as in `losses.py`.

A *slack* is what is missing to the margin; only positive slacks count. A NaN is no number below zero: it counts, so
that it stays visible.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, parallel_kernel
from cnntrain.kernels.losses import clear_unused_lanes, count_correct
from cnntrain.kernels.work import blocks_of, used_lanes
from cnntrain.shape import LANES


@inlined_kernel
def slack_loss(slack, squared):
    """Return the slack or its square, in double precision; it is positive or NaN."""
    size = np.float64(slack)
    return size * size if squared else size


@inlined_kernel
def slack_slope(slack, squared, unit):
    """Return `unit` times the derivative of slack or slack**2, which is positive or NaN."""
    if squared:
        return (slack + slack) * unit
    return slack if slack != slack else unit


@parallel_kernel
def hinge(outputs, labels, losses, correct, grad_outputs, classes, squared):
    """One against the rest: L = sum_j max(0, 1 - s_j y_j) or its squares, s_j = 1 for the label, -1 for the others.

    dL/dy_j = -s_j [slack_j > 0] / images, or -2 s_j slack_j / images.
    """
    images = labels.size
    for index in prange(blocks_of(images)):
        b = np.intp(index)
        zero, one = outputs.dtype.type(0), outputs.dtype.type(1)
        unit = one / outputs.dtype.type(images)
        for lane in range(used_lanes(b, images)):
            image = b * LANES + lane
            loss = 0.0
            for k in range(classes):
                at = (b * classes + k) * LANES + lane
                sign = one if labels[image] == k else -one
                slack = one - sign * outputs[at]
                if slack <= zero:
                    grad_outputs[at] = zero
                else:
                    loss += slack_loss(slack, squared)
                    grad_outputs[at] = -sign * slack_slope(slack, squared, unit)
            losses[image] = loss
        count_correct(outputs, labels, correct, b, classes)
        clear_unused_lanes(grad_outputs, b, classes, images)


@parallel_kernel
def multi_margin(outputs, labels, losses, correct, grad_outputs, classes, margin, squared):
    """Each class against the label: L = 1/classes sum_{j != label} max(0, margin - y_label + y_j), or its squares.

    dL/dy_j = [slack_j > 0] / (classes images), or 2 slack_j / (classes images); dL/dy_label = minus their sum.
    """
    images = labels.size
    for index in prange(blocks_of(images)):
        b = np.intp(index)
        zero, one = outputs.dtype.type(0), outputs.dtype.type(1)
        unit = one / (outputs.dtype.type(images) * outputs.dtype.type(classes))
        for lane in range(used_lanes(b, images)):
            image = b * LANES + lane
            own = (b * classes + labels[image]) * LANES + lane
            loss, own_gradient = 0.0, zero
            for k in range(classes):
                at = (b * classes + k) * LANES + lane
                if at == own:
                    continue
                slack = margin - outputs[own] + outputs[at]
                if slack <= zero:
                    grad_outputs[at] = zero
                else:
                    loss += slack_loss(slack, squared)
                    slope = slack_slope(slack, squared, unit)
                    grad_outputs[at] = slope
                    own_gradient -= slope
            grad_outputs[own] = own_gradient
            losses[image] = loss / classes
        count_correct(outputs, labels, correct, b, classes)
        clear_unused_lanes(grad_outputs, b, classes, images)
