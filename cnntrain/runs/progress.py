"""How far a run has come: what a checkpoint must know, besides arrays, to continue it to the bit."""

from __future__ import annotations

from pydantic import Field

from cnntrain.settings import NonNegativeFloat, NonNegativeInt, PositiveInt, Settings


class Metrics(Settings):
    """What one epoch reached; accuracies are shares of 1. Without a validation split its two values are None."""

    train_loss: float
    train_accuracy: NonNegativeFloat
    validation_loss: float | None = None
    validation_accuracy: NonNegativeFloat | None = None

    def better_than(self, other: Metrics) -> bool:
        """Compare by validation accuracy, then by validation loss; without a validation split by training loss.

        The test split has no say in it. Equal metrics are not better: the earlier epoch stays the best.
        """
        return self._merit > other._merit

    @property
    def _merit(self) -> tuple[float, ...]:
        if self.validation_accuracy is None or self.validation_loss is None:
            return (-self.train_loss,)
        return (self.validation_accuracy, -self.validation_loss)


class Sums(Settings):
    """Running totals of an epoch that is not finished, over the images seen so far.

    Attributes
    ----------
    loss : float
        Sum of the images' losses.
    weight : float
        Sum of the images' weights: their number unless the loss has class weights.
    correct, images : int
    """

    loss: float = 0.0
    weight: NonNegativeFloat = 0.0
    correct: NonNegativeInt = 0
    images: NonNegativeInt = 0

    @property
    def mean_loss(self) -> float:
        """Weighted mean of the losses; 0 if nothing has any weight."""
        return self.loss / self.weight if self.weight else 0.0


class Progress(Settings):
    """Position and results of a run after an epoch.

    Order of data and random numbers follow from the config, its seed and `step`, so this and the arrays are the whole
    state of a run.

    Attributes
    ----------
    epoch : int
        Number of the epoch that ended last, from 1. A run over `steps` may end inside its last epoch.
    step : int
        Updates made so far.
    metrics : Metrics
        Of that epoch.
    best_epoch, best_metrics
        The best epoch so far.
    unfinished : Sums
        Totals of the epoch that `step` lies inside; zero at an epoch's end.
    schedule : dict
        What the schedule has to remember (`Schedule.state`).
    early_stopping : dict
        What `early_stopping` has to remember.
    """

    epoch: PositiveInt
    step: PositiveInt
    metrics: Metrics
    best_epoch: PositiveInt
    best_metrics: Metrics
    unfinished: Sums = Sums()
    schedule: dict[str, float | None] = Field(default_factory=dict)
    early_stopping: dict[str, float | None] = Field(default_factory=dict)


class Inside(Settings):
    """Marks a checkpoint that was made inside an epoch, whose row is not written yet.

    Its `progress` is then that of the steps made: the running means of the epoch as metrics, and its totals as
    `unfinished`.

    Attributes
    ----------
    recorded : Progress or None
        Of the last epoch that has a row; None before the first.
    """

    recorded: Progress | None = None
