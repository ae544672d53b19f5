"""Losses on probabilities and values: the loss of each image and its gradient, in one pass over the outputs.

outputs and grad_outputs are (block, class, lane); labels, losses and correct hold one entry per image, images in the
order block, lane. Lanes without an image (`images` and beyond) get a zero gradient.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import kernel, parallel_kernel
from cnntrain.kernels.lanes import constant, is_nan, lane_of, load, negate, select, store
from cnntrain.kernels.lanes.exponential import exponential
from cnntrain.shape import LANES


@kernel
def count_correct(outputs, start, classes, labels, correct, b, images):
    """correct[image] = 1 where the label has the largest output (ties: the first class wins; NaN is never right)."""
    for lane in range(min(LANES, images - b * LANES)):
        best = outputs[np.uintp(start + lane)]
        winner = 0
        for k in range(1, classes):
            value = outputs[np.uintp(start + k * LANES + lane)]
            if value > best:
                best = value
                winner = k
        image = np.uintp(b * LANES + lane)
        correct[image] = 1 if winner == labels[image] and best == best else 0


@kernel
def clear_unused_lanes(grad_outputs, start, classes, used):
    """Set the gradient to zero in the lanes that hold no image."""
    for k in range(classes):
        for lane in range(used, LANES):
            grad_outputs[np.uintp(start + k * LANES + lane)] = 0


@parallel_kernel
def cross_entropy(
    logits, labels, own, spread, weight, losses, correct, grad_logits, blocks, classes, images, smoothed
):  # fmt: skip
    """Softmax and cross-entropy together: L = -sum_j t_j log p_j; dL/dz_j = (p_j sum_k t_k - t_j) / weight.

    The target t_j is own[label] [j = label] + spread[j]: class weights and label smoothing are in these two arrays of
    one number per class (both in the type of the logits; own = 1, spread = 0 without). `smoothed`: spread is not zero.
    Stable because the largest logit is subtracted first (Goodfellow et al. 2016, section 4.1).
    """
    for index in prange(blocks):
        b = np.intp(index)
        start = b * classes * LANES
        used = min(LANES, images - b * LANES)
        largest = load(logits, start)
        for k in range(1, classes):
            z = load(logits, start + k * LANES)
            largest = select((z > largest) | (is_nan(z) & negate(is_nan(largest))), z, largest)
        total = constant(logits, 0)
        for k in range(classes):
            power = exponential(load(logits, start + k * LANES) - largest)
            store(grad_logits, start + k * LANES, power)
            total = total + power
        mass = spread[0]  # of all targets but the label's own
        for k in range(1, classes):
            mass += spread[np.uintp(k)]
        for lane in range(used):
            image = np.uintp(b * LANES + lane)
            label = labels[image]
            place, share = np.uintp(start + label * LANES + lane), own[np.uintp(label)]
            factor = (share + mass) / (lane_of(total, lane) * weight)
            for k in range(classes):
                at = np.uintp(start + k * LANES + lane)
                grad_logits[at] = grad_logits[at] * factor - spread[np.uintp(k)] / weight
            grad_logits[place] -= share / weight
            log_total, top = math.log(np.float64(lane_of(total, lane))), np.float64(lane_of(largest, lane))
            loss = share * (log_total - (np.float64(logits[place]) - top))
            if smoothed:
                for k in range(classes):
                    z = np.float64(logits[np.uintp(start + k * LANES + lane)])
                    loss += spread[np.uintp(k)] * (log_total - (z - top))
            losses[image] = loss
        count_correct(logits, start, classes, labels, correct, b, images)
        clear_unused_lanes(grad_logits, start, classes, used)


@parallel_kernel
def quadratic(outputs, targets, labels, losses, correct, grad_outputs, blocks, classes, images):
    """Quadratic cost C = 1/2 sum_j (y_j - t_j)**2, dC/dy_j = (y_j - t_j) / images (Nielsen 2015, chapter 1).

    targets is (block, class, lane), as outputs.
    """
    for index in prange(blocks):
        b = np.intp(index)
        start = b * classes * LANES
        used = min(LANES, images - b * LANES)
        for lane in range(used):
            losses[b * LANES + lane] = 0.0
        for k in range(classes):
            at = start + k * LANES
            difference = load(outputs, at) - load(targets, at)
            store(grad_outputs, at, difference / constant(outputs, images))
            for lane in range(used):
                value = np.float64(lane_of(difference, lane))
                losses[b * LANES + lane] += 0.5 * value * value
        count_correct(outputs, start, classes, labels, correct, b, images)
        clear_unused_lanes(grad_outputs, start, classes, used)


@parallel_kernel
def one_hot(labels, targets, blocks, classes, images):
    """Write targets (block, class, lane): one in the class of each image's label, zero elsewhere."""
    for index in prange(blocks):
        b = np.intp(index)
        for k in range(classes):
            for lane in range(LANES):
                image = b * LANES + lane
                targets[(b * classes + k) * LANES + lane] = 1 if image < images and labels[image] == k else 0
