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
    gpu = requested_gpu(device, worker)
    thread_count = usable_cores() if threads is None else threads
    if thread_count < 1:
        raise TrainingError(f"{threads} threads were asked for.", "Ask for at least one: --threads 1.")
    tf.config.experimental.enable_op_determinism()
    cores = _set_threads(thread_count)
    tf.config.set_visible_devices([] if gpu is None else [gpu], "GPU")
    if gpu is None:
        return f"Running on the CPU with {cores} thread{'s' * (cores > 1)}."
    tf.config.experimental.set_memory_growth(gpu, True)
    name = tf.config.experimental.get_device_details(gpu).get("device_name", "a GPU")
    return f"Running on gpu:{gpu.name.rpartition(':')[2]} ({name}) with {cores} thread{'s' * (cores > 1)} beside it."


def current_device() -> str:
    """Return the device that TensorFlow runs on in this process, as `--device` names it."""
    gpus = tf.config.get_visible_devices("GPU")
    return f"gpu:{gpus[0].name.rpartition(':')[2]}" if gpus else "cpu"


def alternative_device() -> str:
    """Return where to go, as `--device` names it, with what does not fit on the one in use."""
    return "gpu" if current_device() == "cpu" else "cpu"


def usable_cores() -> int:
    """Return how many cores this process may use: those it sees, or the fewer that Slurm has given to its job."""
    affinity_cores = len(os.sched_getaffinity(0))
    slurm_cores = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return min(affinity_cores, int(slurm_cores)) if slurm_cores.isdecimal() and int(slurm_cores) else affinity_cores


def requested_gpu(device: str, worker: int) -> Any:
    """Return TensorFlow's device, or None for the CPU."""
    kind, _, number = device.partition(":")
    if device == "cpu":
        return None
    if kind != "gpu" or not (number.isdecimal() or device == "gpu"):
        raise TrainingError(f"There is no device called {device!r}.", "Choose cpu, gpu, or gpu:N with N from 0.")
    gpus = tf.config.list_physical_devices("GPU")
    index = int(number) if number else worker % max(len(gpus), 1)
    if index >= len(gpus):
        available = f"TensorFlow finds {len(gpus)} GPUs" if gpus else "TensorFlow finds no GPU"
        fix = f"Choose gpu:0 to gpu:{len(gpus) - 1}." if gpus else "Use --device cpu, or install tomoseg-tui[cuda]."
        raise TrainingError(f"The device {device} was asked for, but {available} here.", fix)
    return gpus[index]


def _set_threads(thread_count: int) -> int:
    """Return the threads there will be: those wanted, or those that TensorFlow has already started with."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(thread_count)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:  # it has started; only the speed depends on this, no result does
        return int(tf.config.threading.get_intra_op_parallelism_threads()) or usable_cores()
    return thread_count
