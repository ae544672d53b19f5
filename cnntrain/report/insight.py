"""What a run's network and data say: answers, filters, maps. Either may be gone; then it says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cnntrain.config import Config
from cnntrain.data import DataSet
from cnntrain.data.terminal import load_and_tell
from cnntrain.errors import CheckpointError, CnntrainError, ExtensionError, RunFolderError
from cnntrain.evaluation.restored import Restored, restore
from cnntrain.report.answers import BATCH, Answers, answers_of
from cnntrain.report.filters import Tiles, first_filters, first_maps
from cnntrain.report.records import RunRecord
from cnntrain.runs.folder import find_checkpoint
from cnntrain.shape import Shape

Loader = Callable[[Config], DataSet]


@dataclass(frozen=True)
class Insight:
    """What can be said of a run's network.

    Attributes
    ----------
    epoch : int or None
        Of the checkpoint; None without a network.
    answers : Answers or None
    filters : Tiles or None
    maps : sequence of Tiles
    problem : str or None
        Why something of it is missing.
    damaged : bool
        The problem is a file that should be whole.
    """

    epoch: int | None = None
    answers: Answers | None = None
    filters: Tiles | None = None
    maps: Sequence[Tiles] = ()
    problem: str | None = None
    damaged: bool = False


class Loading:
    """Loads the data of configs, those that are equal once.

    Parameters
    ----------
    warn : callable
        Called with a text that the user should see.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._loaded: list[tuple[tuple[object, int], DataSet]] = []

    def __call__(self, config: Config) -> DataSet:
        """Return a config's data; raises `DataError` and `ConfigError`."""
        key = (config.data, config.seed)
        for known, data in self._loaded:
            if known == key:
                return data
        data = load_and_tell(config.data, config.seed, self._warn)
        self._loaded.append((key, data))
        return data


def look_into(run: RunRecord, split: str | None, load: Loader, overrides: Sequence[str] = ()) -> Insight:
    """Run the best network of a run over a split of its data.

    Parameters
    ----------
    run : RunRecord
    split : str or None
        None takes validation where the data have it, and test otherwise.
    load : callable
        Gives the data of a config.
    overrides : sequence of str
        Changes to the checkpoint's config, as `--set` takes them.

    Raises
    ------
    ConfigError
        An override is wrong.
    """
    try:
        restored = restore(find_checkpoint(run.folder.path), batch_size=BATCH, overrides=overrides)
    except RunFolderError as error:
        return Insight(problem=f"There is no network to look at: {error}")
    except (CheckpointError, ExtensionError) as error:
        damaged = isinstance(error, CheckpointError)
        return Insight(problem=f"The network could not be read: {error}", damaged=damaged)
    return _insight(run, restored, split, load)


def _insight(run: RunRecord, restored: Restored, split: str | None, load: Loader) -> Insight:
    epoch, rows = restored.metadata.progress.epoch, run.layers
    filters = first_filters(rows, restored.network.state(), Shape(*restored.metadata.input_shape))
    if restored.not_finite:
        names = ", ".join(restored.not_finite[:5])
        return Insight(epoch, filters=filters, problem=f"NaN or infinity in {names}: nothing was evaluated")
    try:
        data = load(restored.config)
        answers = answers_of(restored, data, split or ("test" if data.validation is None else "validation"))
    except CnntrainError as error:
        return Insight(epoch, filters=filters, problem=f"There are no answers and no pictures: {error}")
    maps = first_maps(restored, rows, data.split(answers.split), 0) if rows else []
    return Insight(epoch, answers, filters, maps)
