"""The processes that share a training, as one of them sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from cnntrain.errors import CnntrainError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Value = TypeVar("Value")


class OtherFailedError(CnntrainError):
    """Another process cannot go on; the message is its own."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.exit_code = code


class EndedError(BaseException):
    """Process 0 has told the reason, and this process must end; no handler of errors may stop it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Team:
    """One process that has nobody to share with; `MpiTeam` is one of several.

    What is called together ("collective") must be called by all processes, in the same order.

    Attributes
    ----------
    rank, size : int
        Which process this is, from 0, of how many.
    patience : float
        Seconds that a process waits for others before it gives up.
    """

    rank: int = 0
    size: int = 1
    patience: float = 0.0

    @property
    def writes(self) -> bool:
        """Writes files and talks; the others are silent."""
        return self.rank == 0

    def gather(self, value: Value) -> list[Value]:
        """Return everybody's value, in the order of ranks; collective."""
        return [value]

    def from_first(self, make: Callable[[], Value]) -> Value:
        """Let process 0 make something, and return it everywhere; collective."""
        return make()

    def first_on_machine(self, make: Callable[[], Value]) -> Value:
        """Let one process of each machine make something, then the others, who find what it left there; collective."""
        return make()

    def threads(self) -> int | None:
        """Return how many threads this process should use; None leaves it to Numba."""
        return None

    def names(self) -> list[str]:
        """Return what to call the processes, in the order of ranks."""
        return ["process 0"]

    # --- what the tree of sums needs ---

    def send(self, array: NDArray[Any], to: int, tag: int) -> Callable[[], bool]:
        """Begin to send an array; the result tells whether it has gone."""
        raise ValueError("a team of one has nobody to send to")

    def receive(self, array: NDArray[Any], source: int, tag: int) -> Callable[[], bool]:
        """Begin to fill an array with what another sends; the result tells whether it is there."""
        raise ValueError("a team of one has nobody to receive from")

    def spread(self, array: NDArray[Any]) -> Callable[[], bool]:
        """Begin to fill everybody's array with process 0's; the result tells whether it is done; collective."""
        return lambda: True

    def wait(self, done: Callable[[], bool], what: str) -> None:
        """Return when `done` says so; ends this process when another failed, or none answers for too long."""
        if not done():
            raise ValueError("a team of one waits for nobody")

    def fail(self, text: str, code: int) -> None:
        """Let everybody end because this process cannot go on; returns in a team of one."""

    def leave(self, code: int) -> None:
        """End this process, as an `EndedError` has asked for; returns in a team of one."""

    def abort(self, code: int) -> None:
        """End all processes here and now, without a word; returns in a team of one."""


ALONE = Team()
