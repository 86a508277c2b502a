"""What an epoch has brought, how epochs are compared, and how a report comes back out of a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tomoseg_tui.ml.validation import FeatureMetrics, ThresholdMetrics


@dataclass(frozen=True)
class EpochReport:
    """What an epoch has brought."""

    epoch: int
    """Its number, from 1."""
    epochs: int
    """How many there will be."""
    learning_rate: float
    """That of its last step."""
    training_loss: float
    """Mean over its steps."""
    held_out_loss: float | None
    """The same loss over the held-out tiles, unchanged by augmentation; None where nothing is held out."""
    held_out_dice: dict[str, float | None]
    """By feature, at the threshold where it is best."""
    is_best: bool
    """True if these are the weights worth keeping so far."""
    scores: dict[str, FeatureMetrics | None]
    """By feature; None where no held-out tile shows it."""

    @property
    def score(self) -> float:
        """What is greatest in the best epoch."""
        return epoch_score(self.held_out_dice, self.held_out_loss)


def epoch_score(held_out_dice: Mapping[str, float | None], held_out_loss: float | None) -> float:
    """Return what is greatest in the best epoch: mean Dice, or minus the loss where no feature has one."""
    dice = [value for value in held_out_dice.values() if value is not None]
    return float(np.mean(dice)) if dice else -(held_out_loss or 0.0)


def report_from_checkpoint(values: Mapping[str, Any]) -> EpochReport:
    """Return the report whose `asdict` was kept in a checkpoint."""
    scores = {feature: _score_from(score) if score else None for feature, score in values["scores"].items()}
    return EpochReport(**{**values, "scores": scores})


def _score_from(values: Mapping[str, Any]) -> FeatureMetrics:
    return FeatureMetrics(**{**values, "curve": tuple(ThresholdMetrics(**point) for point in values["curve"])})
