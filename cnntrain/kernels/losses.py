"""Losses on probabilities and values: the loss of each image and its gradient, in one pass over the outputs.

outputs and grad_outputs are (block, class, lane); labels, losses and correct hold one entry per image, images in the
order block, lane. Lanes without an image get a zero gradient.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, parallel_kernel
from cnntrain.kernels.lanes import constant, is_nan, lane_of, load, negate, select, store
from cnntrain.kernels.lanes.exponential import exponential
from cnntrain.kernels.work import blocks_of, used_lanes
from cnntrain.shape import LANES


class Targets(NamedTuple):
    """The target of class j is own[label] [j = label] + spread[j]: class weights and label smoothing are in these two.

    Both have one number per class in the type of the logits (own = 1, spread = 0 without), and so is `weight`, which
    the mean divides by. `smoothed`: spread is not zero.
    """

    own: Any
    spread: Any
    weight: Any
    smoothed: Any


@inlined_kernel
def count_correct(outputs, labels, correct, b, classes):
    """correct[image] = 1 where the label has the largest output (ties: the first class wins; NaN is never right)."""
    for lane in range(used_lanes(b, labels.size)):
        at = b * classes * LANES + lane
        best = outputs[np.uintp(at)]
        winner = 0
        for k in range(1, classes):
            value = outputs[np.uintp(at + k * LANES)]
            if value > best:
                best = value
                winner = k
        image = np.uintp(b * LANES + lane)
        correct[image] = 1 if winner == labels[image] and best == best else 0


@inlined_kernel
def clear_unused_lanes(grad_outputs, b, classes, images):
    """Set the gradient to zero in the lanes that hold no image."""
    for k in range(classes):
        for lane in range(used_lanes(b, images), LANES):
            grad_outputs[np.uintp((b * classes + k) * LANES + lane)] = 0


@inlined_kernel
def largest_logit(logits, start, classes):
    """Return the largest of each lane's logits, NaN if one is NaN."""
    largest = load(logits, start)
    for k in range(1, classes):
        z = load(logits, start + k * LANES)
        largest = select((z > largest) | (is_nan(z) & negate(is_nan(largest))), z, largest)
    return largest


@inlined_kernel
def exponentials(logits, start, classes, largest, powers):
    """Write exp(z_j - largest) at the places of the logits, and return their sum."""
    total = constant(logits, 0)
    for k in range(classes):
        power = exponential(load(logits, start + k * LANES) - largest)
        store(powers, start + k * LANES, power)
        total = total + power
    return total


@inlined_kernel
def sum_of(numbers):
    """Add up numbers in their order."""
    total = numbers[0]
    for k in range(1, numbers.size):
        total += numbers[np.uintp(k)]
    return total


@inlined_kernel
def gradient_of_logits(grad_logits, at, label, total, mass, targets):
    """Turn the exponentials of one image, from `at` on, into dL/dz_j; `mass` is the sum of spread."""
    share = targets.own[np.uintp(label)]
    factor = (share + mass) / (total * targets.weight)
    for k in range(targets.own.size):
        place = np.uintp(at + k * LANES)
        grad_logits[place] = grad_logits[place] * factor - targets.spread[np.uintp(k)] / targets.weight
    grad_logits[np.uintp(at + label * LANES)] -= share / targets.weight


@inlined_kernel
def loss_of_logits(logits, at, label, total, largest, targets):
    """Return the loss of one image, whose logits are from `at` on, in double precision."""
    log_total, top = math.log(np.float64(total)), np.float64(largest)
    own = np.float64(logits[np.uintp(at + label * LANES)])
    loss = targets.own[np.uintp(label)] * (log_total - (own - top))
    if targets.smoothed:
        for k in range(targets.own.size):
            z = np.float64(logits[np.uintp(at + k * LANES)])
            loss += targets.spread[np.uintp(k)] * (log_total - (z - top))
    return loss


@parallel_kernel
def cross_entropy(logits, labels, losses, correct, grad_logits, goals):
    """Softmax and cross-entropy together: L = -sum_j t_j log p_j; dL/dz_j = (p_j sum_k t_k - t_j) / weight.

    Stable because the largest logit is subtracted first (Goodfellow et al. 2016, section 4.1). `goals` holds the fields
    of `Targets`.
    """
    targets = Targets(*goals)
    classes, images = targets.own.size, labels.size
    for index in prange(blocks_of(images)):
        b = np.intp(index)
        start = b * classes * LANES
        largest = largest_logit(logits, start, classes)
        totals = exponentials(logits, start, classes, largest, grad_logits)
        mass = sum_of(targets.spread)
        for lane in range(used_lanes(b, images)):
            label, total = labels[np.uintp(b * LANES + lane)], lane_of(totals, lane)
            gradient_of_logits(grad_logits, start + lane, label, total, mass, targets)
            loss = loss_of_logits(logits, start + lane, label, total, lane_of(largest, lane), targets)
            losses[np.uintp(b * LANES + lane)] = loss
        count_correct(logits, labels, correct, b, classes)
        clear_unused_lanes(grad_logits, b, classes, images)


@parallel_kernel
def quadratic(outputs, targets, labels, losses, correct, grad_outputs, classes):
    """Quadratic cost C = 1/2 sum_j (y_j - t_j)**2, dC/dy_j = (y_j - t_j) / images (Nielsen 2015, chapter 1).

    targets is (block, class, lane), as outputs.
    """
    images = labels.size
    for index in prange(blocks_of(images)):
        b = np.intp(index)
        used = used_lanes(b, images)
        for lane in range(used):
            losses[b * LANES + lane] = 0.0
        for k in range(classes):
            at = (b * classes + k) * LANES
            difference = load(outputs, at) - load(targets, at)
            store(grad_outputs, at, difference / constant(outputs, images))
            for lane in range(used):
                value = np.float64(lane_of(difference, lane))
                losses[b * LANES + lane] += 0.5 * value * value
        count_correct(outputs, labels, correct, b, classes)
        clear_unused_lanes(grad_outputs, b, classes, images)


@parallel_kernel
def one_hot(labels, targets, classes):
    """Write targets (block, class, lane): one in the class of each image's label, zero elsewhere."""
    images = labels.size
    for index in prange(blocks_of(images)):
        b = np.intp(index)
        for k in range(classes):
            for lane in range(LANES):
                image = b * LANES + lane
                targets[(b * classes + k) * LANES + lane] = 1 if image < images and labels[image] == k else 0
