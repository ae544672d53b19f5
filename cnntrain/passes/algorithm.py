"""What an algorithm of a convolution is, and how one is chosen: the first of a list that does not refuse.

An algorithm is a class in a file of its own. It says in words why it refuses a problem; made for a problem that it can
compute, it holds packed weights and scratch memory, and runs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from numpy.typing import NDArray

from cnntrain.passes.problem import Problem


class Algorithm(ABC):
    """A way to compute one pass of a convolution.

    Attributes
    ----------
    name : str
        What lists and users call it.
    """

    name: ClassVar[str]

    @abstractmethod
    def __init__(self, problem: Problem) -> None: ...

    @classmethod
    def cannot(cls, problem: Problem) -> str | None:
        """Say why it cannot compute a problem; None if it can."""
        return None

    @classmethod
    def slower(cls, problem: Problem) -> str | None:
        """Say why a later algorithm of the list should compute what this one could; None if none should."""
        return None

    @classmethod
    def refuses(cls, problem: Problem) -> str | None:
        """Say why it is not taken; None if it is."""
        return cls.cannot(problem) or cls.slower(problem)


class Correlation(Algorithm):
    """Computes the forward pass, or backward to the input."""

    @abstractmethod
    def __call__(
        self, image: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any], output: NDArray[Any], blocks: int
    ) -> None:
        """Write `output` from `image`; `weight` is flat and canonical, `bias` has one number per output channel.

        Backward to the input, the image is the delta, the output is dL/d(input), and the bias is zero.
        """


class WeightGradient(Algorithm):
    """Computes the gradient of the weights, and perhaps of the biases along with it, in two steps.

    Attributes
    ----------
    adds_biases : bool
        The gradient of the biases comes along, and costs next to nothing.
    """

    adds_biases: bool = False

    @abstractmethod
    def add(
        self, image: NDArray[Any], delta: NDArray[Any], blocks: int, *, fresh: bool, with_biases: bool = False
    ) -> None:
        """Add the products of the first `blocks` blocks to the sums; those begin with zero if they are `fresh`.

        `with_biases` only if `adds_biases`.
        """

    @abstractmethod
    def write(self, gradient: NDArray[Any], grad_bias: NDArray[Any] | None = None) -> None:
        """Write the gradient, flat, in canonical order, and that of the biases, which must have been added too."""


Kind = TypeVar("Kind", bound=Algorithm)


@dataclass(frozen=True)
class Chosen(Generic[Kind]):
    """An algorithm, and why those before it in the list refused.

    Attributes
    ----------
    algorithm : subclass of Algorithm
    refusals : dict
        Reasons by the names of the earlier algorithms.
    """

    algorithm: type[Kind]
    refusals: dict[str, str]

    def __str__(self) -> str:
        return "; ".join([self.algorithm.name, *(f"not {name}: {reason}" for name, reason in self.refusals.items())])


def choose(algorithms: Sequence[type[Kind]], problem: Problem, only: str | None = None) -> Chosen[Kind]:
    """Choose the first algorithm that does not refuse.

    Parameters
    ----------
    algorithms : sequence of subclasses of Algorithm
        The last one takes everything.
    problem : Problem
    only : str or None
        Take the algorithm with this name even where another is faster, for tests and measurements.

    Raises
    ------
    ValueError
        No algorithm has that name, or it cannot compute the problem.
    """
    refusals: dict[str, str] = {}
    for algorithm in algorithms:
        if only is None:
            reason = algorithm.refuses(problem)
        else:
            reason = algorithm.cannot(problem) if algorithm.name == only else f"only {only} is asked for"
        if reason is None:
            return Chosen(algorithm, refusals)
        refusals[algorithm.name] = reason
    raise ValueError(f"no algorithm {problem.direction}: {refusals}")
