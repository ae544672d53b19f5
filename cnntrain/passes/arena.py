"""Where the activations of few images lie: values, and the room that they take."""

from __future__ import annotations

from dataclasses import dataclass

from cnntrain.shape import Shape


@dataclass(eq=False)
class Value:
    """Activations, (row, column, channel): where they lie, as if there was one image, and how many still read them."""

    at: int
    shape: Shape
    readers: int = 1


@dataclass(frozen=True)
class Place:
    """Where an instruction reads or writes: from a channel of a value's first pixel on."""

    value: Value
    channel: int = 0


@dataclass(frozen=True)
class Listed:
    """Offsets that are listed for an instruction, by their number among those of all instructions."""

    number: int


class Room:
    """Places for activations, each used again when nobody reads it any more."""

    def __init__(self) -> None:
        self.size = 0
        self._free: list[tuple[int, int]] = []

    def take(self, size: int) -> int:
        """Return where `size` numbers may be written: the first gap that is large enough, or the end."""
        for index, (begin, room) in enumerate(self._free):
            if room >= size:
                self._free[index : index + 1] = [(begin + size, room - size)] if room > size else []
                return begin
        begin, self.size = self.size, self.size + size
        return begin

    def give(self, begin: int, size: int) -> None:
        """Let others use a place."""
        gaps: list[tuple[int, int]] = []
        for gap in sorted([*self._free, (begin, size)]):
            if gaps and sum(gaps[-1]) == gap[0]:
                gaps[-1] = gaps[-1][0], gaps[-1][1] + gap[1]
            else:
                gaps.append(gap)
        self._free = gaps
