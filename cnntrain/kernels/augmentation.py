"""Augmentation: training images are changed in pixel space, before they are normalised and laid into lanes.

    i  image of the batch      C, H, W  channels, rows, columns: `shape`      c, h, w  one of these

Pixels are flat float32 in the order (image, channel, row, column), on the scale on which the images are stored. Here
each image differs from its neighbour (one is flipped, one is not), so the unit of work is one image, not 16 of them;
the cost is small beside any convolution. Random numbers come in as arrays, one entry or more per image: the kernels
themselves are functions of their arguments.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from cnntrain.kernels.compiler.jit import inlined_kernel, parallel_kernel

CONSTANT, REFLECT, EDGE = 0, 1, 2  # what lies outside an image: a value, its mirror (edge not repeated), its edge


@parallel_kernel
def gather_pixels(images, indices, pixels, size):
    """pixels[i, ...] = images[indices[i], ...], whatever number type the images have."""
    for index in prange(indices.size):
        i = np.intp(index)
        source = indices[i] * size
        for k in range(size):
            pixels[i * size + k] = pixels.dtype.type(images[source + k])


@parallel_kernel
def flip_columns(pixels, chosen, shape):
    """Mirror the images for which chosen[i] is not 0: pixels[i, c, h, w] <-> pixels[i, c, h, W - 1 - w]."""
    C, H, W = shape
    for index in prange(chosen.size):
        i = np.intp(index)
        if chosen[i] != 0:
            for line in range(i * C * H, (i + 1) * C * H):
                for w in range(W // 2):
                    left, right = line * W + w, line * W + W - 1 - w
                    kept = pixels[left]
                    pixels[left] = pixels[right]
                    pixels[right] = kept


@inlined_kernel
def inside(position, length, outside):
    """The position that stands for one outside 0 ... length - 1 (at most length - 1 away); -1 for none."""
    if 0 <= position < length:
        return position
    if outside == REFLECT:
        return -position if position < 0 else 2 * (length - 1) - position
    if outside == EDGE:
        return 0 if position < 0 else length - 1
    return -1


@parallel_kernel
def translate(source, target, down, right, outside, fill, shape):
    """target[i, c, h, w] = source[i, c, h - down[i], w - right[i]], with what `outside` says where there is none."""
    C, H, W = shape
    for index in prange(down.size):
        i = np.intp(index)
        for c in range(C):
            plane = (i * C + c) * H
            for h in range(H):
                row = inside(h - down[i], H, outside)
                for w in range(W):
                    column = inside(w - right[i], W, outside)
                    if row < 0 or column < 0:
                        target[(plane + h) * W + w] = fill
                    else:
                        target[(plane + h) * W + w] = source[(plane + row) * W + column]


@inlined_kernel
def pixel_or(source, plane, row, column, H, W, fill):
    """source[row, column] of the plane that begins at `plane`, or `fill` outside."""
    if row < 0 or row >= H or column < 0 or column >= W:
        return fill
    return source[plane + row * W + column]


@parallel_kernel
def warp(source, target, matrices, fill, shape):
    """Bilinear look-up: target[i, c, h, w] = source[i, c] at row m0 + m1 h + m2 w and column m3 + m4 h + m5 w.

    matrices holds m0 ... m5 per image, flat. `fill` lies outside the image, also between it and its edge.
    """
    C, H, W = shape
    for index in prange(matrices.size // 6):
        i = np.intp(index)
        for h in range(H):
            for w in range(W):
                down, right = source.dtype.type(h), source.dtype.type(w)
                row = matrices[6 * i] + matrices[6 * i + 1] * down + matrices[6 * i + 2] * right
                column = matrices[6 * i + 3] + matrices[6 * i + 4] * down + matrices[6 * i + 5] * right
                top, left = np.floor(row), np.floor(column)
                below, beside = row - top, column - left
                r, s = np.intp(top), np.intp(left)
                for plane in range(i * C * H * W, (i + 1) * C * H * W, H * W):
                    a, b = pixel_or(source, plane, r, s, H, W, fill), pixel_or(source, plane, r, s + 1, H, W, fill)
                    upper = a + beside * (b - a)
                    a = pixel_or(source, plane, r + 1, s, H, W, fill)
                    b = pixel_or(source, plane, r + 1, s + 1, H, W, fill)
                    lower = a + beside * (b - a)
                    target[plane + h * W + w] = upper + below * (lower - upper)


@inlined_kernel
def weighted_mean(pixels, image, weights, plane):
    """Return the mean over the planes of one image, which begins at `image`, of sum_c weights[c] * plane c."""
    total = 0.0
    for c in range(weights.size):
        if weights[c] != 0:
            for k in range(image + c * plane, image + (c + 1) * plane):
                total += weights[c] * np.float64(pixels[k])
    return total / plane


@parallel_kernel
def stretch(pixels, factors, weights, limits, shape):
    """Set pixels = centre + (pixels - centre) * factors[i], kept within limits[0] ... limits[1]; NaN stays NaN.

    centre is the mean over the image of sum_c weights[c] * pixels[c]: its mean grey for contrast, 0 for brightness
    (all weights 0).
    """
    C, H, W = shape
    for index in prange(factors.size):
        i = np.intp(index)
        centre = pixels.dtype.type(weighted_mean(pixels, i * C * H * W, weights, H * W))
        for k in range(i * C * H * W, (i + 1) * C * H * W):
            value = centre + (pixels[k] - centre) * factors[i]
            if value < limits[0]:
                value = limits[0]
            if value > limits[1]:
                value = limits[1]
            pixels[k] = value


@parallel_kernel
def erase(pixels, boxes, fill, shape):
    """pixels[i, :, top : bottom, left : right] = fill; boxes holds top, bottom, left, right per image, flat."""
    C, H, W = shape
    for index in prange(boxes.size // 4):
        i = np.intp(index)
        for c in range(C):
            for h in range(boxes[4 * i], boxes[4 * i + 1]):
                for w in range(boxes[4 * i + 2], boxes[4 * i + 3]):
                    pixels[((i * C + c) * H + h) * W + w] = fill


@parallel_kernel
def mix(pixels, weights, size):
    """pixels[i] = weights[i] * pixels[i] + (1 - weights[i]) * pixels[N + i] for the first N = weights.size images."""
    N = weights.size
    for index in prange(N):
        i = np.intp(index)
        rest = pixels.dtype.type(1) - weights[i]
        for k in range(size):
            pixels[i * size + k] = weights[i] * pixels[i * size + k] + rest * pixels[(N + i) * size + k]
