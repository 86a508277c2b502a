"""Plan a training before it starts: its tiles, settings and steps."""

from dataclasses import dataclass, replace

from tomoseg_tui.core.network_settings import (
    TrainingSettings,
    default_training,
    steps_per_epoch,
)
from tomoseg_tui.io.trainset_file import TileMetadata, TrainsetSummary, read_training_set
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.training import trainset
from tomoseg_tui.workflow.training.lineage import parent_runs
from tomoseg_tui.workflow.training.split import apply_split
from tomoseg_tui.workflow.training.train_request import FINE_TUNING_RATE, TrainRequest, trainset_request


@dataclass(frozen=True)
class TrainingPlan:
    """Tiles, settings and cost of a training."""

    summary: TrainsetSummary
    """The training set: numbers of tiles by class, and of held-out tiles."""
    settings: TrainingSettings
    """The settings in the request, else the network's usual ones."""
    positives: int
    negatives: int
    """Training tiles with any feature, and with none."""
    steps: int
    """Steps per epoch."""
    trainset_bytes: int
    """Size of the run's own training set, 0 if it has none."""


def plan_training(project: Project, request: TrainRequest) -> TrainingPlan:
    """Plan a training; nothing is written.

    Parameters
    ----------
    request : TrainRequest
        As for `check_training`; the name is not used.

    Raises
    ------
    TomosegError
        If nothing is labelled, a name is unknown, or the tiles do not fit together.
    """
    summary, tiles, trainset_bytes = _plan_tiles(project, request)
    training_tiles = [tile for tile in tiles if not tile.held_out]
    settings = training_settings(
        project, request, training_tile_count=len(training_tiles), features=len(summary.features)
    )
    positives = sum(any(sign > 0 for sign in tile.signs) for tile in training_tiles)
    negatives = len(training_tiles) - positives
    steps = steps_per_epoch(settings, positives, negatives)
    return TrainingPlan(summary, settings, positives, negatives, steps, trainset_bytes)


def _plan_tiles(project: Project, request: TrainRequest) -> tuple[TrainsetSummary, list[TileMetadata], int]:
    """Return the tiles, and the size of the run's own training set in bytes, 0 if it has none."""
    if request.trainset is not None:
        training_set = read_training_set(trainset.require_training_set(project, request.trainset))
        parents = parent_runs(project, request.made_from) if request.made_from is not None else None
        summary, tiles = apply_split(*training_set, validation=request.validation, parents=parents)
        return summary, [tile.metadata for tile in tiles], 0
    summary, tiles = trainset.gather_tiles(project, request.name, trainset_request(request))
    return summary, [tile.metadata for tile in tiles], sum(tile.densities.nbytes for tile in tiles)


def training_settings(
    project: Project, request: TrainRequest, *, training_tile_count: int, features: int
) -> TrainingSettings:
    """Return the settings of a training: those in the request, else the usual ones for its tiles and features.

    A training that starts from the weights of another run uses its network and a tenth of its learning rate.
    """
    parent_card = (
        catalog.load_network_card(project.layout, request.made_from) if request.made_from is not None else None
    )
    defaults = default_training(
        parent_card.network if parent_card is not None else request.network, training_tile_count, features
    )
    learning_rate = request.learning_rate or (
        defaults.learning_rate if parent_card is None else parent_card.learning_rate * FINE_TUNING_RATE
    )
    return replace(
        defaults,
        epochs=request.epochs or defaults.epochs,
        learning_rate=learning_rate,
        batch=request.batch or defaults.batch,
        seed=request.seed if request.seed is not None else project.settings.seed,
    )
