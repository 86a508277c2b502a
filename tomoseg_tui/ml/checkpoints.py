"""Write weights and checkpoints atomically, and detect damaged ones.

A weights file is Keras's HDF5 followed by its SHA-256; HDF5 ignores bytes after its end. A checkpoint is numpy's npz, a
zip archive with checksums.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import TrainingError
from tomoseg_tui.files.atomic import atomic_output
from tomoseg_tui.files.structured import ARRAY_DAMAGE

WEIGHTS_SUFFIX = ".weights.h5"
"""Suffix of weights files required by Keras."""
_DIGEST_BYTES = hashlib.sha256().digest_size


def save_weights(path: Path, model: Any) -> None:
    """Write the weights of a model, replacing the file atomically; `path` must end in ".weights.h5"."""
    with atomic_output(path, suffix=WEIGHTS_SUFFIX) as draft:
        model.save_weights(draft)
        with draft.open("r+b") as stream:
            digest = hashlib.file_digest(stream, "sha256").digest()
            stream.seek(0, os.SEEK_END)
            stream.write(digest)


def load_weights(path: Path, model: Any) -> None:
    """Load the weights in `path` into a model.

    Parameters
    ----------
    path : Path
        Written by `save_weights`.
    model : keras.Model
        A model with the same settings and features as the saved one.

    Raises
    ------
    TrainingError
        If the file is missing or damaged, or belongs to another kind of network.
    """
    _check_digest(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Keras only warns about layers without weights in the file
            model.load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise TrainingError(
            f"The weights in {path} belong to another network than this {model.name}.",
            "Use the network and the number of features with which they were trained.",
        ) from error


def _check_digest(path: Path) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"The weights in {path} cannot be read: {error.strerror}.", _RETRAIN_FIX) from error
    if hashlib.sha256(content[:-_DIGEST_BYTES]).digest() != content[-_DIGEST_BYTES:]:
        raise TrainingError(f"The weights in {path} are damaged or incomplete: their checksum is wrong.", _RETRAIN_FIX)


_RETRAIN_FIX = "Name another run, or train this one again."


def save_checkpoint(path: Path, state: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> None:
    """Write a state of JSON values and a list of arrays to `path`, replacing the file atomically."""
    named_arrays = {f"array{number}": array for number, array in enumerate(arrays)}
    with atomic_output(path) as draft, draft.open("wb") as stream:
        np.savez(stream, allow_pickle=False, facts=np.array(json.dumps(state)), **named_arrays)


def load_checkpoint(path: Path) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Return the state and the arrays that `save_checkpoint` wrote.

    Raises
    ------
    TrainingError
        If the file is damaged.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            state = json.loads(str(archive["facts"]))
            return state, [archive[f"array{number}"] for number in range(len(archive.files) - 1)]
    except ARRAY_DAMAGE as error:
        raise TrainingError(
            f"The checkpoint {path} is damaged: {error}.", f"Remove {path} to start this training again."
        ) from error


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
