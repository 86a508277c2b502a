"""The runs of a project as screens list them: networks with a card, and trainings that have none yet."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot


class Epoch(msgspec.Struct, frozen=True):
    """The figures of one epoch: a line of ``metrics.jsonl``."""

    epoch: int
    """Its number, from 1."""
    training_loss: float | None = None
    held_out_loss: float | None = None
    held_out_dice: dict[str, float | None] = {}
    """By feature, from 0 to 1; None where nothing was held out."""
    best: bool = False
    """True if it was the best so far."""
    seconds: float | None = None
    """Since the worker began to train."""


def parse_epochs(text: bytes) -> list[Epoch]:
    """Return the epochs that whole lines tell of; what is no such line is passed over."""
    epochs = []
    for line in text.splitlines():
        try:
            epochs.append(msgspec.json.decode(line, type=Epoch))
        except msgspec.MsgspecError:
            continue
    return epochs


def best_epoch(epochs: Iterable[Epoch]) -> int | None:
    """Return the number of the best epoch so far."""
    return max((epoch.epoch for epoch in epochs if epoch.best), default=None)


@dataclass(frozen=True)
class Run:
    """One training: its network if it has one yet, and the last job that worked on it."""

    name: str
    card: NetworkCard | None
    """None until its first epoch is finished."""
    job: Mapping[str, Any] | None
    """As `jobs --json` prints it; None where the job's folder is gone."""
    requested_features: tuple[str, ...] = ()
    """What it was asked to learn, if it has no card yet."""
    job_epochs: tuple[int, int] | None = None
    """What its job has reported: the epoch that it is in or ended in, and all its epochs."""

    @property
    def state(self) -> str:
        """State of its job; a network whose job is gone is done."""
        return str(self.job["state"]) if self.job is not None else "done"

    @property
    def is_live(self) -> bool:
        """True while a worker is at it or is about to be."""
        return self.state in {"queued", "running"}

    @property
    def features(self) -> tuple[str, ...]:
        """What it learns."""
        return tuple(self.card.features) if self.card is not None else self.requested_features

    @property
    def dice(self) -> float | None:
        """Held-out Dice, averaged over features; None where nothing was held out."""
        scores = [score.dice for score in self.card.features.values()] if self.card is not None else []
        measured = [score for score in scores if score is not None]
        return sum(measured) / len(measured) if measured else None

    @property
    def epochs(self) -> tuple[int, int] | None:
        """Epochs done or begun, and those asked for."""
        if self.card is None or (self.is_live and self.job_epochs is not None):
            return self.job_epochs
        return self.card.epochs_done, self.card.epochs

    @property
    def started(self) -> str:
        """When it was begun, ISO 8601."""
        return str(self.job["created"]) if self.job is not None else self.card.created if self.card is not None else ""


def list_runs(snapshot: ProjectSnapshot) -> list[Run]:
    """Return all runs, the newest first; trainings without a network yet are among them."""
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
