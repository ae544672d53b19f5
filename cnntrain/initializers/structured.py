"""Weights that form a matrix of a certain kind: orthogonal, or the identity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cnntrain.errors import ShapeError
from cnntrain.initializers.base import Initializer
from cnntrain.settings import Choice, ChoiceFrom, PositiveFloat, PositiveInt, Settings


class OrthogonalSettings(Settings):
    """YAML keys of `orthogonal`."""

    main = "gain"
    gain: PositiveFloat = Field(1.0, description="Factor on the matrix; sqrt(2) = 1.4142 suits ReLU.")


class Orthogonal(Initializer):
    """The matrix of weights (outputs, everything else) gets orthonormal rows, or columns if it has more rows.

    A matrix of normal values is factored into Q R; Q is made unique by positive diagonal entries of R, which also makes
    it uniformly distributed (Saxe et al. 2014; the signs: Mezzadri 2007).
    """

    name = "orthogonal"
    Settings = OrthogonalSettings

    def check(self, shape: tuple[int, ...]) -> None:
        """Need a matrix."""
        if len(shape) < 2:
            raise ShapeError(f"it needs two or more dimensions, these values have {len(shape)}")

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
        """Draw the matrix."""
        rows, columns = shape[0], math.prod(shape[1:])
        q, r = np.linalg.qr(generator.standard_normal((max(rows, columns), min(rows, columns))))
        q *= np.where(np.diag(r) < 0, -1.0, 1.0)
        return self.settings.gain * (q if rows >= columns else q.T).reshape(shape)


def _initializers() -> Mapping[str, type[Initializer]]:
    from cnntrain.initializers import INITIALIZERS  # which holds what is defined here

    return INITIALIZERS


class DiracSettings(Settings):
    """YAML keys of `dirac`."""

    main = "groups"
    groups: PositiveInt = Field(1, description="Repeat the identity for each of so many groups of filters.")
    rest: Annotated[Choice, ChoiceFrom("initializer", _initializers)] = Field(
        "zeros", validate_default=True, description="Initial values of filters beyond the number of channels."
    )


class Dirac(Initializer):
    """Each filter passes one channel through: 1 at the middle of the window (of an even size: behind it), 0 elsewhere.

    Filter d of each group passes channel d; filters beyond the number of channels get the values that `rest` says, as
    if it made all filters: what depends on the numbers of filters and channels does not change.
    """

    name = "dirac"
    Settings = DiracSettings

    @property
    def _rest(self) -> Initializer:
        made: Initializer = self.settings.rest.registered(self.settings.rest.settings)
        return made

    def check(self, shape: tuple[int, ...]) -> None:
        """Need filters, as many in each group."""
        if len(shape) != 4:
            raise ShapeError(f"it needs filters (four dimensions), these values have {len(shape)}")
        if shape[0] % self.settings.groups:
            raise ShapeError(f"groups {self.settings.groups} does not divide the {shape[0]} filters")
        self._rest.check(shape)

    def values(self, shape: tuple[int, ...], generator: np.random.Generator) -> NDArray[np.float64]:
        """Return the filters; nothing is random about those that pass a channel."""
        filters, channels, rows, columns = shape
        values = self._rest.values(shape, generator)
        size = filters // self.settings.groups
        for filter_ in range(filters):
            if filter_ % size < channels:
                values[filter_] = 0.0
                values[filter_, filter_ % size, rows // 2, columns // 2] = 1.0
        return values
