"""What jobs that are not done yet will have made, so that others can be asked for that build on it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest


@dataclass(frozen=True)
class PendingOutputs:
    """What is not there yet, but will be when it is needed; checks of it are made then."""

    runs: frozenset[str] = frozenset()
    tomograms: frozenset[str] = frozenset()
    maps: frozenset[tuple[str, str]] = frozenset()
    """Tomogram and run."""


NO_PENDING_OUTPUTS = PendingOutputs()


def pending_outputs_of(jobs: Iterable[tuple[str, Mapping[str, Any]]]) -> PendingOutputs:
    """Return what jobs will make.

    Parameters
    ----------
    jobs : iterable of (str, mapping)
        Kind and request of each.
    """
    runs: set[str] = set()
    tomograms: set[str] = set()
    maps: set[tuple[str, str]] = set()
    for kind, raw_request in jobs:
        if kind == "train":
            runs.add(str(raw_request["name"]))
        elif kind == "apply":
            maps.update((str(name), str(raw_request["run"])) for name in raw_request["tomograms"])
        elif kind == "preprocess":
            request = msgspec.convert(raw_request, PreprocessRequest)
            tomograms.update(request.target(name) for name in request.tomograms)
    return PendingOutputs(frozenset(runs), frozenset(tomograms), frozenset(maps))
