"""Early stopping: a training ends when so many epochs in a row brought nothing."""

from __future__ import annotations

from collections.abc import Mapping

from cnntrain.config import Config
from cnntrain.config.course import EarlyStoppingSettings
from cnntrain.config.problems import Problem
from cnntrain.errors import CheckpointError, ConfigError
from cnntrain.runs.progress import Metrics

State = Mapping[str, float | None]


class EarlyStopping:
    """Watches a metric from epoch to epoch.

    Only whole epochs are shown to it, so that a run that is continued decides as one that was never stopped.

    Parameters
    ----------
    settings : EarlyStoppingSettings or None
        None never ends a training.
    """

    def __init__(self, settings: EarlyStoppingSettings | None) -> None:
        self._settings = settings
        self._best: float | None = None
        self._best_epoch = self._since = 0

    def observe(self, epoch: int, metrics: Metrics) -> None:
        """Take notice of what a whole epoch, counted from 1, reached."""
        if self._settings is None:
            return
        value = getattr(metrics, self._settings.metric)
        if self._best is None or self._is_better(value, self._best):
            self._best, self._best_epoch, self._since = value, epoch, 0
        else:
            self._since += 1

    def _is_better(self, value: float, best: float) -> bool:
        assert self._settings is not None
        gain = best - value if self._settings.metric.endswith("loss") else value - best
        return gain > self._settings.min_delta

    @property
    def reason(self) -> str | None:
        """Why the training ends here; None if it goes on."""
        settings = self._settings
        if settings is None or self._since < settings.patience:
            return None
        by = f" by more than {settings.min_delta:g}" if settings.min_delta else ""
        epochs = "epoch" if self._since == 1 else f"{self._since} epochs"
        return (
            f"{settings.metric} has not improved{by} in the last {epochs}: {self._best:.6g} in epoch {self._best_epoch}"
        )

    def state(self) -> dict[str, float | None]:
        """Return what must be remembered; empty without settings."""
        if self._settings is None:
            return {}
        return {"best": self._best, "best_epoch": float(self._best_epoch), "since": float(self._since)}

    def load_state(self, state: State) -> None:
        """Take over what `state` returned; raises `CheckpointError` if it makes no sense."""
        if state.keys() != self.state().keys():
            wrong = ", ".join(sorted(state.keys() ^ self.state().keys()))
            raise CheckpointError(f"the state does not fit early_stopping: {wrong}")
        if self._settings is None:
            return
        best_epoch, since = state["best_epoch"] or 0.0, state["since"] or 0.0
        if not all(count >= 0 and count == int(count) for count in (best_epoch, since)):
            raise CheckpointError(f"the state of early_stopping makes no sense: {dict(state)}")
        self._best, self._best_epoch, self._since = state["best"], int(best_epoch), int(since)


def early_stopping_of(config: Config, has_validation: bool) -> EarlyStopping:
    """Return what ends the config's training early.

    Raises
    ------
    ConfigError
        It watches a metric of the validation split, and there is none.
    """
    settings = config.early_stopping
    if settings is not None and settings.needs_validation and not has_validation:
        message = (
            f"early_stopping watches {settings.metric}, and there is no validation split: set data.validation to a "
            "number of images or a fraction, or early_stopping.metric to train_loss"
        )
        if config._document is None:
            raise ConfigError(message)
        raise ConfigError(str(Problem(message, config._document.mark(["early_stopping", "metric"]))))
    return EarlyStopping(settings)
