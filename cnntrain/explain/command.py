"""`cnntrain explain RUN | CONFIG`: from the options to what is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnntrain.explain.asked import Asked, Number, answer
from cnntrain.explain.example import Example, example_of
from cnntrain.explain.pictures import Wanted
from cnntrain.explain.strip import StripRow, strip_of
from cnntrain.explain.text import head_text, number_text, strip_text
from cnntrain.explain.trace import Trace


@dataclass(frozen=True)
class Explanation:
    """A traced step, and what is said of it.

    Attributes
    ----------
    example : Example
    trace : Trace
    strip : list of StripRow
    number : Number or None
        The one that was asked for.
    """

    example: Example
    trace: Trace
    strip: list[StripRow]
    number: Number | None

    def as_text(self) -> str:
        """Return the number that was asked for, or else all layers, as text."""
        head = head_text(self.example, self.trace)
        body = strip_text(self.strip, self.example, self.trace) if self.number is None else number_text(self.number)
        return f"{head}\n\n{body}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        example, trace = self.example, self.trace
        return {
            "name": example.name,
            "origin": example.origin,
            "images": example.title,
            "labels": [example.class_names[label] for label in trace.labels.tolist()],
            "classes": list(example.class_names),
            "step": trace.step,
            "optimizer": example.optimizer.name,
            "learning_rate": trace.learning_rate,
            "notes": list(example.notes),
            "loss": trace.loss,
            "logits": trace.logits.tolist(),
            "layers": [row.as_dict() for row in self.strip],
            "number": None if self.number is None else self.number.as_dict(),
        }


def explain_network(
    target: Path,
    *,
    from_config: bool,
    wanted: Wanted,
    asked: Asked,
    overrides: Sequence[str] = (),
    warn: Callable[[str], None] = lambda text: None,
) -> Explanation:
    """Trace a step of a network, and derive the number that is asked for.

    Parameters
    ----------
    target : Path
        A config, a run folder or a checkpoint.
    from_config : bool
        It is a config.
    wanted : Wanted
        Which images.
    asked : Asked
        Which number, if any.
    overrides : sequence of str
        `--set` arguments.
    warn : callable
        Called with a text that the user should see.

    Raises
    ------
    CnntrainError
        As `example_of` and `answer` do.
    """
    example = example_of(target, from_config=from_config, wanted=wanted, overrides=overrides, warn=warn)
    trace = example.trace()
    return Explanation(example, trace, strip_of(trace), answer(asked, example, trace))
