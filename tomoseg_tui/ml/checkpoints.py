"""Keep weights and checkpoints on disk: whole or not at all, and never believed when damaged.

A weights file is Keras's HDF5 followed by a SHA-256 of it; HDF5 ignores what stands behind its end. A
checkpoint is numpy's npz, a zip archive that carries checksums of its own.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import TrainingError
from tomoseg_tui.files.atomic import atomic_output

WEIGHTS_SUFFIX = ".weights.h5"
"""What Keras asks the name of a weights file to end with."""
_DIGEST_BYTES = hashlib.sha256().digest_size


def save_weights(path: Path, model: Any) -> None:
    """Write the weights of a model to `path`, replacing a file there whole.

    Parameters
    ----------
    path : Path
        Ends in `.weights.h5`; its folder exists.
    model : keras.Model
        Its weights are written, not what it looks like.
    """
    with atomic_output(path, suffix=WEIGHTS_SUFFIX) as draft:
        model.save_weights(draft)
        with draft.open("r+b") as stream:
            digest = hashlib.file_digest(stream, "sha256").digest()
            stream.seek(0, os.SEEK_END)
            stream.write(digest)


def load_weights(path: Path, model: Any) -> None:
    """Put the weights in `path` into a model.

    Parameters
    ----------
    path : Path
        Written by `save_weights`.
    model : keras.Model
        Of the same settings and features as the one that was saved.

    Raises
    ------
    TrainingError
        If the file is missing or damaged, or belongs to another kind of network.
    """
    _check_digest(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Keras only warns of layers that it finds no weights for
            model.load_weights(path)
    except (ValueError, OSError, KeyError, UserWarning) as error:
        raise TrainingError(
            f"The weights in {path} belong to another network than the {model.name} they were to go into.",
            "Use the network, and the number of features, that they were trained with.",
        ) from error


def _check_digest(path: Path) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"No weights can be read from {path}: {error.strerror}.", _RETRAIN_FIX) from error
    if hashlib.sha256(content[:-_DIGEST_BYTES]).digest() != content[-_DIGEST_BYTES:]:
        raise TrainingError(
            f"The weights in {path} are damaged or incomplete: their checksum does not fit.", _RETRAIN_FIX
        )


_RETRAIN_FIX = "Name another run, or train this one again."


def save_checkpoint(path: Path, state: Mapping[str, Any], arrays: Sequence[NDArray[Any]]) -> None:
    """Write numbers that JSON can hold and a list of arrays to `path`, replacing a file there whole."""
    named_arrays = {f"array{number}": array for number, array in enumerate(arrays)}
    with atomic_output(path) as draft, draft.open("wb") as stream:
        np.savez(stream, allow_pickle=False, facts=np.array(json.dumps(state)), **named_arrays)


def load_checkpoint(path: Path) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Read what `save_checkpoint` wrote.

    Raises
    ------
    TrainingError
        If the file is damaged.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            state = json.loads(str(archive["facts"]))
            return state, [archive[f"array{number}"] for number in range(len(archive.files) - 1)]
    except (OSError, ValueError, KeyError, BadZipFile, EOFError) as error:
        raise TrainingError(
            f"The checkpoint {path} is damaged: {error}.", f"Remove {path} to begin this training anew."
        ) from error
