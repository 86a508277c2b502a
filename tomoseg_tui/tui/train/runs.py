"""The runs of a project for the screen: networks with a card, and trainings without one yet."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tomoseg_tui.files.structured import MalformedError, decode_json
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot


class Epoch(msgspec.Struct, frozen=True):
    """The metrics of one epoch: a line of ``metrics.jsonl``."""

    epoch: int
    """Number of the epoch, from 1."""
    training_loss: float | None = None
    held_out_loss: float | None = None
    held_out_dice: dict[str, float | None] = {}
    """By feature, from 0 to 1; None without held-out tiles."""
    best: bool = False
    """True if it was the best so far."""
    seconds: float | None = None
    """Time since the worker started to train."""


def parse_epochs(text: bytes) -> list[Epoch]:
    """Return the epochs in the valid lines; other lines are ignored."""
    epochs = []
    for line in text.splitlines():
        try:
            epochs.append(decode_json(line, Epoch))
        except MalformedError:
            continue
    return epochs


def best_epoch(epochs: Iterable[Epoch]) -> int | None:
    """Return the number of the best epoch so far."""
    return max((epoch.epoch for epoch in epochs if epoch.best), default=None)


@dataclass(frozen=True)
class Run:
    """A training: its network if it has one yet, and the last job that worked on it."""

    name: str
    card: NetworkCard | None
    """None until its first epoch is finished."""
    job: Mapping[str, Any] | None
    """As in `jobs --json`; None if the job's folder is missing."""
    requested_features: tuple[str, ...] = ()
    """Its requested features, if it has no card yet."""
    job_epochs: tuple[int, int] | None = None
    """Its current or last epoch and the number of epochs, as its job reported."""

    @property
    def state(self) -> str:
        """State of its job; done if the job is missing."""
        return str(self.job["state"]) if self.job is not None else "done"

    @property
    def is_live(self) -> bool:
        """True while its job runs or waits."""
        return self.state in {"queued", "running"}

    @property
    def features(self) -> tuple[str, ...]:
        """The features to learn."""
        return tuple(self.card.features) if self.card is not None else self.requested_features

    @property
    def dice(self) -> float | None:
        """Held-out Dice, averaged over features; None without held-out tiles."""
        scores = [score.dice for score in self.card.features.values()] if self.card is not None else []
        measured = [score for score in scores if score is not None]
        return sum(measured) / len(measured) if measured else None

    @property
    def epochs(self) -> tuple[int, int] | None:
        """Current or last epoch, and the number of requested epochs."""
        if self.card is None or (self.is_live and self.job_epochs is not None):
            return self.job_epochs
        return self.card.epochs_done, self.card.epochs

    @property
    def started(self) -> str:
        """When it was started, ISO 8601."""
        return str(self.job["created"]) if self.job is not None else self.card.created if self.card is not None else ""


def list_runs(snapshot: ProjectSnapshot) -> list[Run]:
    """Return all runs, the newest first; including trainings without a network yet."""
    jobs: dict[str, Mapping[str, Any]] = {}
    for job in snapshot.jobs:  # newest first
        if job["kind"] == "train":
            jobs.setdefault(job["name"], job)
    cards = {card.name: card for card in snapshot.networks}
    epochs = {name: snapshot.epochs.get(job["id"]) for name, job in jobs.items()}
    runs = [
        Run(name, cards.get(name), jobs.get(name), snapshot.requested_features.get(name, ()), epochs.get(name))
        for name in dict.fromkeys([*jobs, *cards])
    ]
    return sorted(runs, key=lambda run: (run.started, run.job is not None and int(run.job["id"])), reverse=True)
