"""Outputs of unfinished jobs, so that other jobs that need them can be requested already."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PendingOutputs:
    """Outputs that will exist when they are needed; their checks are made then."""

    runs: frozenset[str] = frozenset()
    tomograms: frozenset[str] = frozenset()
    maps: frozenset[tuple[str, str]] = frozenset()
    """Pairs of tomogram and run."""


NO_PENDING_OUTPUTS = PendingOutputs()
