"""The matrices in a step of `muon`: what the iteration makes of a layer's filters, by their singular values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

COEFFICIENTS = 3.4445, -4.7750, 2.0315  # Jordan et al. 2024
EPS = 1e-7


def orthogonalised(direction: NDArray[Any], steps: int) -> NDArray[np.float64]:
    """Return the filters' direction with the polynomial on its singular values: no product of the iteration's."""
    matrix = direction.astype(np.float64).reshape(len(direction), -1)
    if not np.isfinite(matrix).all():
        return np.full(direction.shape, np.nan)
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    s = s / (np.sqrt((s**2).sum()) + EPS)
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        s = a * s + b * s**3 + c * s**5
    result: NDArray[np.float64] = ((u * s) @ v).reshape(direction.shape)
    return result
