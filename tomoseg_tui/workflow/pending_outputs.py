"""What jobs that are not done yet will have made, so that others can be asked for that build on it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PendingOutputs:
    """What is not there yet, but will be when it is needed; checks of it are made then."""

    runs: frozenset[str] = frozenset()
    tomograms: frozenset[str] = frozenset()
    maps: frozenset[tuple[str, str]] = frozenset()
    """Tomogram and run."""


NO_PENDING_OUTPUTS = PendingOutputs()
