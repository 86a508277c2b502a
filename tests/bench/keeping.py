"""Where the benches keep what they have done, so that they go on where they were stopped, and nothing stale counts."""

import hashlib
from pathlib import Path

import tomoseg_tui


def kept_folder(work: Path, data: Path, *asked: str) -> Path:
    """Return the folder for what is measured on some data, by the program as it is now, in the way that was asked."""
    place = hashlib.sha256(str(data.absolute()).encode()).hexdigest()[:6]
    return work / "_".join([data.stem, place, code_digest(), *asked])


def code_digest() -> str:
    """Return what differs whenever the program does."""
    whole = hashlib.sha256()
    for path in sorted(Path(tomoseg_tui.__file__).parent.rglob("*.py")):
        whole.update(path.read_bytes())
    return whole.hexdigest()[:12]
