"""Reference results: jobs of a small project without disturbance, to compare disturbed jobs with."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import msgspec
import numpy as np

from helpers.cli_runner import Tomoseg
from helpers.job_project import hooked, make_tubes_project
from tomoseg_tui.core.network_settings import NetworkSettings

SMALL = NetworkSettings(
    name="small", kind="unet", description="of some 200 parameters", slices=3, slices_out=1, channels=(2,), fold=2
)
NETWORK_HOOK = f"""
import os
os.nice = lambda _more: 0
from tomoseg_tui.core.network_settings import NETWORKS, NetworkSettings
NETWORKS["small"] = {SMALL!r}
import sys
if "tomoseg_tui.jobs.worker" in sys.orig_argv:
    import tomoseg_tui.core.filters
    tomoseg_tui.core.filters.BLOCK_VOXELS = 20_000
"""
"""Adds the network, and keeps workers at normal priority: on a busy machine nice ones get too little time. They filter
in small blocks, so that a kill finds some of them on disk and others not."""
OF_THEIR_TIME = {"modified_ns", "created", "started", "ended", "imported", "at", "seconds", "owner", "speed"}
"""Keys whose values differ from run to run."""
OF_THE_WATCHER = {"history.jsonl", "output.log", "tensorflow.log", "progress.json"}
"""Files of which only the name is compared."""

WORK: dict[str, tuple[object, ...]] = {
    "train": ("train", "--feature", "tube", "--feature", "wall", "--network", "small", "--batch", 2, "--epochs", 4,
              "--seed", 3, "--name", "run"),
    "apply": ("apply", "net", "tubes"),
    "apply_out": ("apply", "net", "tubes", "--feature", "tube", "-o", "../map.mrc"),
    "merge": ("merge", "tubes", "--map", "net:tube=0.5", "--map", "net:wall=0.4", "-o", "../labels.mrc"),
    "preprocess": ("preprocess", "tubes", "--bin", 2),
}  # fmt: skip
"""The jobs that are disturbed."""


def make_template(folder: Path) -> Path:
    """Make a project with a network of two features and its maps; return the project's folder."""
    root = make_tubes_project(folder)
    run, env = Tomoseg(root), hooked(folder / "hooks", NETWORK_HOOK)
    run("annotations", "import", "../truth.mrc", "--tomogram", "tubes", "--map", "0=wall")
    run("train", *WORK["train"][1:-1], "net", "--wait", env=env)
    run("apply", "net", "tubes", "--wait", env=env)
    return root


def content_of(folder: Path) -> dict[str, object]:
    """Return the content of a folder by path, without values that differ from run to run."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and "hooks" not in path.parts]
    return {str(path.relative_to(folder)): _content(path) for path in files}


def _content(path: Path) -> object:
    if path.name in OF_THE_WATCHER:
        return None
    if path.suffix in {".json", ".jsonl"}:
        return [_timeless(msgspec.json.decode(line)) for line in _documents(path)]
    return list(_arrays(path)) if path.suffix == ".h5" else hashlib.sha256(path.read_bytes()).hexdigest()


def _documents(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.suffix == ".jsonl" else [path.read_bytes()]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(one) for key, one in value.items() if key not in OF_THEIR_TIME}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def _arrays(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the names of a file's arrays and attributes, and a digest of their bytes."""
    with h5py.File(path) as file:
        names: list[str] = []
        file.visit(names.append)
        for name in ["/", *names]:
            item = file[name]
            for key, value in sorted(item.attrs.items()):
                if key not in OF_THEIR_TIME:
                    yield f"{name} {key}", repr(_timeless(_plain(value)))
            if isinstance(item, h5py.Dataset):
                yield name, hashlib.sha256(np.asarray(item).tobytes()).hexdigest()


def _plain(value: object) -> object:
    """Return the parsed JSON of an attribute; other values unchanged."""
    try:
        return msgspec.json.decode(value) if isinstance(value, str) else value
    except msgspec.MsgspecError:
        return value
