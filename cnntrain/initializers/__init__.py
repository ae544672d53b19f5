"""Initial values of parameters; a new initialiser is a file here and a line in `INITIALIZERS`."""

from __future__ import annotations

from typing import Annotated

from cnntrain.initializers.base import Initializer
from cnntrain.initializers.constant import Constant, Zeros
from cnntrain.initializers.distributions import Normal, TruncatedNormal, Uniform
from cnntrain.initializers.fans import He, Xavier
from cnntrain.initializers.structured import Dirac, Orthogonal
from cnntrain.initializers.whitening import Whitening
from cnntrain.settings import Choice, ChoiceFrom

INITIALIZERS: dict[str, type[Initializer]] = {
    initializer.name: initializer
    for initializer in (Zeros, Constant, Uniform, Normal, TruncatedNormal, Xavier, He, Orthogonal, Dirac, Whitening)
}

InitializerChoice = Annotated[Choice, ChoiceFrom("initializer", lambda: INITIALIZERS)]

__all__ = ["INITIALIZERS", "Initializer", "InitializerChoice"]
