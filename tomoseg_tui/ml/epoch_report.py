"""The report of an epoch: its metrics, how epochs are compared, and how reports are read from a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tomoseg_tui.ml.validation import FeatureMetrics, ThresholdMetrics


@dataclass(frozen=True)
class EpochReport:
    """Metrics of one epoch."""

    epoch: int
    """Number of the epoch, from 1."""
    epochs: int
    """Number of epochs in all."""
    learning_rate: float
    """Learning rate of the last step."""
    training_loss: float
    """Mean over the steps."""
    held_out_loss: float | None
    """The same loss on the validation tiles, without augmentation; None if nothing is held out."""
    held_out_dice: dict[str, float | None]
    """By feature, at the threshold where it is greatest."""
    is_best: bool
    """True if this is the best epoch so far."""
    scores: dict[str, FeatureMetrics | None]
    """By feature; None if no validation tile shows it."""

    @property
    def score(self) -> float:
        """Score by which epochs are compared; the best epoch has the greatest."""
        return epoch_score(self.held_out_dice, self.held_out_loss)


def epoch_score(held_out_dice: Mapping[str, float | None], held_out_loss: float | None) -> float:
    """Return the mean Dice, or minus the loss if no feature has a Dice."""
    dice = [value for value in held_out_dice.values() if value is not None]
    return float(np.mean(dice)) if dice else -(held_out_loss or 0.0)


def report_from_checkpoint(values: Mapping[str, Any]) -> EpochReport:
    """Return the report whose `asdict` is in a checkpoint."""
    scores = {feature: _score_from(score) if score else None for feature, score in values["scores"].items()}
    return EpochReport(**{**values, "scores": scores})


def _score_from(values: Mapping[str, Any]) -> FeatureMetrics:
    return FeatureMetrics(**{**values, "curve": tuple(ThresholdMetrics(**point) for point in values["curve"])})
