"""Choose the device and the threads that TensorFlow runs on, and make its operations repeatable."""

import os
from typing import Any

import tensorflow as tf

from tomoseg_tui.errors import TrainingError


def prepare_device(device: str = "cpu", threads: int | None = None, *, worker: int = 0) -> str:
    """Let TensorFlow run on one device, the same way each time.

    Call it once in a process, before any network is built: TensorFlow fixes both at its first operation.

    Parameters
    ----------
    device : str
        `cpu`, `gpu` (the first, or that of the worker's number) or `gpu:N`, counted from 0.
    threads : int, optional
        Threads on the CPU; by default as many as this process may use.
    worker : int
        Number of this worker of its job, from 0: with `gpu` each takes one of its own, and those beyond the
        last GPU begin again at the first.

    Returns
    -------
    str
        A sentence that says what it runs on.

    Raises
    ------
    TrainingError
        If the device is not one of these, TensorFlow finds no such GPU, or threads is below 1.
    """
    chosen = gpu_asked_for(device, worker)
    wanted = usable_cores() if threads is None else threads
    if wanted < 1:
        raise TrainingError(f"{threads} threads were asked for.", "Ask for at least one: --threads 1.")
    tf.config.experimental.enable_op_determinism()
    cores = _fix_threads(wanted)
    tf.config.set_visible_devices([] if chosen is None else [chosen], "GPU")
    if chosen is None:
        return f"Running on the CPU with {cores} thread{'s' * (cores > 1)}."
    tf.config.experimental.set_memory_growth(chosen, True)
    name = tf.config.experimental.get_device_details(chosen).get("device_name", "a GPU")
    return f"Running on gpu:{chosen.name.rpartition(':')[2]} ({name}) with {cores} thread{'s' * (cores > 1)} beside it."


def device_in_use() -> str:
    """Return the device that TensorFlow runs on in this process, as `--device` names it."""
    gpus = tf.config.get_visible_devices("GPU")
    return f"gpu:{gpus[0].name.rpartition(':')[2]}" if gpus else "cpu"


def other_device() -> str:
    """Return where to go, as `--device` names it, with what does not fit on the one in use."""
    return "gpu" if device_in_use() == "cpu" else "cpu"


def usable_cores() -> int:
    """Return how many cores this process may use: those it sees, or the fewer that Slurm has given to its job."""
    seen = len(os.sched_getaffinity(0))
    given = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return min(seen, int(given)) if given.isdecimal() and int(given) else seen


def gpu_asked_for(device: str, worker: int) -> Any:
    """Return TensorFlow's device, or None for the CPU."""
    kind, _, number = device.partition(":")
    if device == "cpu":
        return None
    if kind != "gpu" or not (number.isdecimal() or device == "gpu"):
        raise TrainingError(f"There is no device called {device!r}.", "Choose cpu, gpu, or gpu:N with N from 0.")
    present = tf.config.list_physical_devices("GPU")
    place = int(number) if number else worker % max(len(present), 1)
    if place >= len(present):
        found = f"TensorFlow finds {len(present)} GPUs" if present else "TensorFlow finds no GPU"
        fix = (
            f"Choose gpu:0 to gpu:{len(present) - 1}." if present else "Use --device cpu, or install tomoseg-tui[cuda]."
        )
        raise TrainingError(f"The device {device} was asked for, but {found} here.", fix)
    return present[place]


def _fix_threads(wanted: int) -> int:
    """Return the threads there will be: those wanted, or those that TensorFlow has already started with."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(wanted)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:  # it has started; only the speed depends on this, no result does
        return int(tf.config.threading.get_intra_op_parallelism_threads()) or usable_cores()
    return wanted
