"""Folders for the results of benchmarks, so that stopped ones continue and results of other code are not used."""

import hashlib
from pathlib import Path

import tomoseg_tui


def kept_folder(work: Path, data: Path, *asked: str) -> Path:
    """Return the folder for results on some data with the current code and the given options."""
    place = hashlib.sha256(str(data.absolute()).encode()).hexdigest()[:6]
    return work / "_".join([data.stem, place, code_digest(), *asked])


def code_digest() -> str:
    """Return a digest that changes with the code."""
    whole = hashlib.sha256()
    for path in sorted(Path(tomoseg_tui.__file__).parent.rglob("*.py")):
        whole.update(path.read_bytes())
    return whole.hexdigest()[:12]
