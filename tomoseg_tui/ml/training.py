"""Train a network on tiles, with a callback after each epoch; stop, write checkpoints and resume.

The checkpoint at the end of each epoch has the weights, their running average, the optimizer's state and the best epoch
so far. Because all randomness depends on seed, epoch and step only, a resumed training gives the same numbers, to the
bit, as an uninterrupted one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import cos, isnan, pi
from pathlib import Path
from typing import Any, final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, labelled_pixels
from tomoseg_tui.core.calibration import Calibration
from tomoseg_tui.core.network_settings import NetworkSettings, TrainingSettings, network_named, steps_per_epoch
from tomoseg_tui.core.patches import TilePatches, describe_changes
from tomoseg_tui.errors import DeviceFullError, DivergedError, NothingLabelledError, TrainingError
from tomoseg_tui.ml.batches import Batch, epoch_batches, feature_loss_weights, place_on_output_slices
from tomoseg_tui.ml.checkpoints import load_checkpoint, load_weights, save_checkpoint, save_weights
from tomoseg_tui.ml.epoch_report import EpochReport, epoch_score, report_from_checkpoint
from tomoseg_tui.ml.inference import raw_function, tile_outputs, tile_probabilities
from tomoseg_tui.ml.losses import comparable_loss, compute_loss
from tomoseg_tui.ml.networks import build_network, calibrated_weights, crop_to_tile
from tomoseg_tui.ml.tf_devices import alternative_device, current_device
from tomoseg_tui.ml.validation import FeatureEvaluation, evaluate_features

BEST_WEIGHTS = "best.weights.h5"
"""File of the best weights so far, in the folder of a training."""
CHECKPOINT = "checkpoint.npz"
"""File of the checkpoint, in the same folder."""
DIVERGED_FACTOR = 10.0
"""Ratio to the first loss at which a training has diverged."""
AVERAGE_DECAY = 0.99
"""Share of the running average of weights preserved per step."""
WEIGHT_DECAY = 1e-3
"""Weight decay of the U-Net per step, times the learning rate."""
WARM_UP_STEPS = 25
"""Steps in which the U-Net's learning rate rises to its largest value."""


@dataclass(frozen=True)
class FitResult:
    """Result of a training."""

    weights: Path
    """The best weights; missing if it was stopped within its first epoch."""
    best: EpochReport | None
    """Report of the epoch of these weights."""
    epochs_done: int
    """Finished epochs."""
    stopped: bool
    """True if it was stopped before its last epoch."""


def fit(
    patches: TilePatches,
    settings: TrainingSettings,
    *,
    folder: Path,
    initial_weights: Path | None = None,
    on_epoch: Callable[[EpochReport], None],
    on_step: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> FitResult:
    """Train a network, or resume the training whose checkpoint is in `folder`.

    Parameters
    ----------
    patches : TilePatches
        Training tiles and, if any are held out, validation tiles.
    folder : Path
        Existing folder for the files `BEST_WEIGHTS` and `CHECKPOINT`, each replaced atomically.
    initial_weights : Path, optional
        Weights to start from; not read if there is a checkpoint.
    on_epoch : callable
        Called after each epoch, when its checkpoint and the best weights are on disk. A resumed training calls it
        again for the last finished epoch, because it may have been interrupted before the call.
    on_step : callable, optional
        Called after each step with the steps done in this epoch and their total.
    should_stop : callable
        Called before each step; True ends the training after its last finished epoch.

    Returns
    -------
    FitResult
        The best weights and their scores. The best epoch has the highest Dice on the validation tiles, averaged over
        features; it is the last epoch if nothing is held out.

    Raises
    ------
    NothingLabelledError
        If no training tile has a pixel of one of the features.
    DivergedError
        If the loss becomes NaN or ten times the first one.
    DeviceFullError
        If the memory of the device does not suffice; the checkpoint is preserved.
    TrainingError
        If the checkpoint or the initial weights are damaged or belong to another training, or the tiles have changed
        since the checkpoint.
    """
    _check_labelled(patches)
    with _report_memory_errors(settings):
        run = TrainingRun(patches, settings, folder)
        if run.restore():
            if run.latest is not None:
                run.save_best()
                on_epoch(run.latest)
        elif initial_weights is not None:
            run.load_initial_weights(initial_weights)
        steps = steps_in_epoch(patches, settings)
        while run.epochs_done < settings.epochs:
            loss = run.train_epoch(steps, on_step or (lambda _step, _steps: None), should_stop)
            if loss is None:
                return FitResult(folder / BEST_WEIGHTS, run.best, run.epochs_done, stopped=True)
            report = run.end_epoch(steps, loss)
            run.save()
            run.save_best()
            on_epoch(report)
    return FitResult(folder / BEST_WEIGHTS, run.best, run.epochs_done, stopped=False)


@contextmanager
def _report_memory_errors(settings: TrainingSettings) -> Iterator[None]:
    """Translate memory errors of TensorFlow to DeviceFullError."""
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as fault:
        smaller = f" with --batch {settings.batch // 2}, or" if settings.batch > 1 else ""
        raise DeviceFullError(
            f"A batch of {settings.batch} tile{'s' * (settings.batch > 1)} for {settings.network} does not fit in the "
            f"memory of the device {current_device()}.",
            f"Train again under another --name{smaller} on another device: --device {alternative_device()}.",
        ) from fault


def _check_labelled(patches: TilePatches) -> None:
    training_layers = patches.layers[~patches.held_out]
    for index, feature in enumerate(patches.features):
        if (training_layers[:, index] == FEATURE).any():
            continue
        if (patches.layers[:, index] == FEATURE).any():
            raise NothingLabelledError(
                f"All pixels of {feature} are in held-out tiles, or too near to them for training.",
                f"Train with --validation 0, or annotate {feature} on tiles that do not overlap.",
            )
        raise NothingLabelledError(
            f"None of the {len(training_layers)} training tiles has a pixel of {feature}.",
            f"Annotate {feature} on some tiles, or import its annotations.",
        )


def steps_in_epoch(patches: TilePatches, settings: TrainingSettings) -> int:
    """Return the number of steps in an epoch."""
    positive = (patches.signs[~patches.held_out] > 0).any(axis=1)
    return steps_per_epoch(settings, int(positive.sum()), int((~positive).sum()))


def learning_rate_at(settings: TrainingSettings, step: int, steps: int) -> float:
    """Return the learning rate of a step, counted from 0 over all `steps` of a training.

    It is constant for EMAN2's network; for the U-Net it rises for `WARM_UP_STEPS` and falls along a cosine to 0.
    """
    if network_named(settings.network).kind == "stack":
        return settings.learning_rate
    rise = min(1.0, (step + 1) / WARM_UP_STEPS)
    return settings.learning_rate * rise * 0.5 * (1 + cos(pi * step / steps))


@final
class TrainingRun:
    """State of one training."""

    def __init__(self, patches: TilePatches, settings: TrainingSettings, folder: Path) -> None:
        self.patches, self.settings, self.folder = patches, settings, folder
        self.network = network_named(settings.network)
        features = len(patches.features)
        self.model = build_network(self.network, features, seed=settings.seed)
        self.averaged_model = build_network(self.network, features, seed=settings.seed)
        self.optimizer = _optimizer(self.network)
        self.optimizer.build(self.model.trainable_variables)
        self.fingerprint = patches.fingerprint()
        self.loss_weights = feature_loss_weights(patches)
        self.step_function = _compile_step(
            self.network, self.model, self.averaged_model, self.optimizer, self.loss_weights
        )
        self.raw_model = raw_function(self.averaged_model, self.network)
        self.epochs_done = 0
        self.first_loss: float | None = None
        """Loss of the first batch with labelled pixels."""
        self.best: EpochReport | None = None
        self.latest: EpochReport | None = None
        self.calibrations: list[Calibration] = []

    def load_initial_weights(self, weights: Path) -> None:
        """Start from the weights of another training."""
        load_weights(weights, self.model)
        load_weights(weights, self.averaged_model)

    def train_epoch(
        self, steps: int, on_step: Callable[[int, int], None], should_stop: Callable[[], bool]
    ) -> float | None:
        """Train one epoch; return its mean loss, None if it was stopped."""
        losses = []
        batches = epoch_batches(self.patches, self.settings, self.epochs_done, steps)
        for step, batch in enumerate(batches):
            if should_stop():
                batches.close()
                return None
            losses.append(self.train_step(batch, self.epochs_done * steps + step, steps * self.settings.epochs))
            on_step(step + 1, steps)
        mean = float(np.mean(losses))
        self._check_convergence(mean)
        return mean

    def train_step(self, batch: Batch, step: int, total_steps: int) -> float:
        """Train one step, counted from 0 over all `total_steps` of the training; return its loss."""
        self.optimizer.learning_rate.assign(learning_rate_at(self.settings, step, total_steps))
        average_decay = min(AVERAGE_DECAY, (step + 1) / (step + 10)) if self.network.kind == "unet" else 0.0
        loss = float(self.step_function(batch.densities, batch.layers, tf.constant(average_decay, tf.float32)))
        if self.first_loss is None and (isnan(loss) or labelled_pixels(batch.layers).any()):
            self.first_loss = loss
        if isnan(loss):
            self._check_convergence(loss)
        return loss

    def _check_convergence(self, loss: float) -> None:
        first_loss = comparable_loss(self.network, self.first_loss or 0.0)
        if isnan(loss) or comparable_loss(self.network, loss) > DIVERGED_FACTOR * first_loss:
            rate = self.settings.learning_rate
            raise DivergedError(
                f"The training diverged in epoch {self.epochs_done + 1}: its loss went from {self.first_loss:.4g} "
                f"to {loss:.4g} with learning rate {rate:g}.",
                f"Train again under another --name with a smaller rate: --learning-rate {rate / 10:g}.",
            )

    def end_epoch(self, steps: int, loss: float) -> EpochReport:
        """Evaluate the epoch and return its report."""
        self.epochs_done += 1
        held_out_loss, evaluations = self.validate()
        dice = {feature: evaluation.best_dice if evaluation else None for feature, evaluation in evaluations.items()}
        last_step, total_steps = self.epochs_done * steps - 1, self.settings.epochs * steps
        report = EpochReport(
            epoch=self.epochs_done,
            epochs=self.settings.epochs,
            learning_rate=learning_rate_at(self.settings, last_step, total_steps),
            training_loss=loss,
            held_out_loss=held_out_loss,
            held_out_dice=dice,
            is_best=self.best is None or epoch_score(dice, held_out_loss) >= self.best.score,
            scores={feature: evaluation.score if evaluation else None for feature, evaluation in evaluations.items()},
        )
        self.latest = report
        self.calibrations = [
            evaluation.calibration if evaluation else Calibration() for evaluation in evaluations.values()
        ]
        if report.is_best:
            self.best = report
        return report

    def save_best(self) -> None:
        """Write the weights of the last finished epoch if they are the best.

        They can be computed from the checkpoint, which is written before: a training interrupted in between writes
        them when it is resumed. So the best weights never belong to an epoch after the checkpoint.
        """
        if self.latest is not None and self.latest.is_best:
            with calibrated_weights(self.averaged_model, self.network, self.calibrations):
                save_weights(self.folder / BEST_WEIGHTS, self.averaged_model)

    def validate(self) -> tuple[float | None, dict[str, FeatureEvaluation | None]]:
        """Return loss and evaluations on the validation tiles; None without validation tiles."""
        held_out = np.flatnonzero(self.patches.held_out)
        if not len(held_out):
            return None, dict.fromkeys(self.patches.features)
        outputs = tile_outputs(self.raw_model, self.network, self.patches, held_out)
        group_size = self.network.slices_out
        layers = place_on_output_slices(
            np.repeat(self.patches.layers[held_out], group_size, axis=0),
            np.tile(np.arange(group_size), len(held_out)),
            group_size,
        )
        margin = (self.patches.densities.shape[-1] - self.patches.tile_size) // 2
        loss = compute_loss(self.network, crop_to_tile(self.network, outputs, margin), layers, self.loss_weights)
        predictions = tile_probabilities(self.network, outputs, self.patches.tile_size)
        return float(loss), evaluate_features(predictions, self.patches, calibrate=self.network.kind == "unet")

    def save(self) -> None:
        """Write the checkpoint."""
        state = {
            **self._fixed_state(),
            "tiles": self.fingerprint,
            "epochs_done": self.epochs_done,
            "first_loss": self.first_loss,
            "best": asdict(self.best) if self.best else None,
            "latest": asdict(self.latest) if self.latest else None,
            "calibrations": self.calibrations,
        }
        save_checkpoint(self.folder / CHECKPOINT, state, [variable.numpy() for variable in self._variables()])

    def restore(self) -> bool:
        """Load the checkpoint of the folder; return False if there is none."""
        path = self.folder / CHECKPOINT
        if not path.exists():
            return False
        state, arrays = load_checkpoint(path)
        self._require_same_tiles(state.get("tiles", self.fingerprint))  # older checkpoints have none
        if any(state.get(key) != value for key, value in self._fixed_state().items()):
            raise TrainingError(
                f"The checkpoint {path} is from a training with other settings or features.",
                f"Train into another folder, or remove {path}.",
            )
        for variable, array in zip(self._variables(), arrays, strict=True):
            variable.assign(array)
        self.epochs_done, self.first_loss = state["epochs_done"], state["first_loss"]
        self.best = report_from_checkpoint(state["best"])
        if state.get("latest") is not None:  # not in checkpoints of version 0.1.0
            self.latest = report_from_checkpoint(state["latest"])
            self.calibrations = [Calibration(*values) for values in state["calibrations"]]
        return True

    def _require_same_tiles(self, saved: dict[str, str]) -> None:
        """Raise TrainingError if the tiles differ from those of the checkpoint."""
        changes = describe_changes(saved, self.fingerprint)
        if changes:
            raise TrainingError(
                f"The training set {self.patches.name} has changed since this training began: {changes}.",
                "Train again under another --name with the present training set.",
            )

    def _fixed_state(self) -> dict[str, Any]:
        """Return the settings that a checkpoint must have in common with the training that resumes from it."""
        return {
            "network": self.network.to_dict(),
            "settings": self.settings.to_dict(),
            "features": list(self.patches.features),
        }

    def _variables(self) -> list[Any]:
        return [*self.model.weights, *self.averaged_model.weights, *self.optimizer.variables]


def _optimizer(network: NetworkSettings) -> Any:
    if network.kind == "stack":
        return keras.optimizers.Adam(1e-4)
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=WEIGHT_DECAY)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def _compile_step(
    network: NetworkSettings, model: Any, averaged_model: Any, optimizer: Any, loss_weights: NDArray[np.float32]
) -> Any:
    """Compile one training step: takes densities, layers and the preserved share of the average, returns the loss."""

    def train_step(densities: Any, layers: Any, average_decay: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = compute_loss(network, model(densities, training=True), layers, loss_weights)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        for average, weight in zip(averaged_model.weights, model.weights, strict=True):
            average.assign(average_decay * average + (1.0 - average_decay) * weight)
        return loss

    signature = [
        tf.TensorSpec((None, None, None, network.slices), tf.float32),
        tf.TensorSpec((None, None, None, network.slices_out, None), tf.uint8),
        tf.TensorSpec((), tf.float32),
    ]  # any size: windows and mosaics differ
    return tf.function(train_step, input_signature=signature, autograph=False)
