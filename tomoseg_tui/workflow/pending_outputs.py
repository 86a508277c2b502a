"""What jobs that are not done yet will have made, so that others can be asked for that build on it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest


@dataclass(frozen=True)
class Promised:
    """What is not there yet, but will be when it is needed; checks of it are made then."""

    runs: frozenset[str] = frozenset()
    tomograms: frozenset[str] = frozenset()
    maps: frozenset[tuple[str, str]] = frozenset()
    """Tomogram and run."""


NOTHING = Promised()


def promised_by(jobs: Iterable[tuple[str, Mapping[str, Any]]]) -> Promised:
    """Return what jobs will make.

    Parameters
    ----------
    jobs : iterable of (str, mapping)
        Kind and request of each.
    """
    runs: set[str] = set()
    tomograms: set[str] = set()
    maps: set[tuple[str, str]] = set()
    for kind, asked in jobs:
        if kind == "train":
            runs.add(str(asked["name"]))
        elif kind == "apply":
            maps.update((str(name), str(asked["run"])) for name in asked["tomograms"])
        elif kind == "preprocess":
            request = msgspec.convert(asked, PreprocessRequest)
            tomograms.update(request.target(name) for name in request.tomograms)
    return Promised(frozenset(runs), frozenset(tomograms), frozenset(maps))
