"""Kernels with all that they need beside the data: geometry, packed weights and scratch memory.

A pass is made once for given shapes and used many times; `functional` and the layers stand on the same passes.
Images are flat arrays in the layout (block, row, column, channel, lane), weights flat arrays in canonical order.
"""
