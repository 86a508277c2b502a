"""Choose TensorFlow's device and threads, and make its operations deterministic."""

import os
from typing import Any, NamedTuple

import tensorflow as tf

from tomoseg_tui.errors import TrainingError


class PreparedDevice(NamedTuple):
    """What TensorFlow runs on."""

    name: str
    """As `--device` names it, but never "auto"."""
    text: str
    """A sentence with the device and threads."""


def prepare_device(device: str = "cpu", threads: int | None = None, *, worker: int = 0) -> PreparedDevice:
    """Select the device and threads of TensorFlow, with deterministic operations.

    Call it once per process, before any network is built: TensorFlow cannot change them after its first operation.

    Parameters
    ----------
    device : str
        "cpu", "gpu" (the first, or by the worker's number), "gpu:N", counted from 0, or "auto": "gpu" if there is
        one, else "cpu".
    threads : int, optional
        CPU threads; by default as many as this process may use.
    worker : int
        Number of this worker in its job, from 0: with "gpu" each worker gets another GPU, starting again at the
        first if there are not enough.

    Returns
    -------
    PreparedDevice
        What TensorFlow runs on.

    Raises
    ------
    TrainingError
        If there is no such device, or threads is below 1.
    """
    is_auto = device == "auto"
    if is_auto:
        device = "gpu" if tf.config.list_physical_devices("GPU") else "cpu"
    gpu = requested_gpu(device, worker)
    thread_count = usable_cores() if threads is None else threads
    if thread_count < 1:
        raise TrainingError(f"{threads} threads were requested.", "Request at least one: --threads 1.")
    tf.config.experimental.enable_op_determinism()
    cores = _set_threads(thread_count)
    tf.config.set_visible_devices([] if gpu is None else [gpu], "GPU")
    threads_text = f"{cores} thread{'s' * (cores > 1)}"
    if gpu is None and is_auto:
        return PreparedDevice(device, f"On the CPU: TensorFlow finds no GPU here. Running with {threads_text}.")
    if gpu is None:
        return PreparedDevice(device, f"Running on the CPU with {threads_text}.")
    tf.config.experimental.set_memory_growth(gpu, True)
    name = tf.config.experimental.get_device_details(gpu).get("device_name", "a GPU")
    text = f"Running on gpu:{gpu.name.rpartition(':')[2]} ({name}) with {cores} CPU thread{'s' * (cores > 1)}."
    return PreparedDevice(device, text)


def current_device() -> str:
    """Return TensorFlow's device in this process, as named by `--device`."""
    gpus = tf.config.get_visible_devices("GPU")
    return f"gpu:{gpus[0].name.rpartition(':')[2]}" if gpus else "cpu"


def alternative_device() -> str:
    """Return another device, as named by `--device`, for work that does not fit on the current one."""
    return "gpu" if current_device() == "cpu" else "cpu"


def usable_cores() -> int:
    """Return the number of cores this process may use: by its affinity, and by Slurm if that is fewer."""
    affinity_cores = len(os.sched_getaffinity(0))
    slurm_cores = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return min(affinity_cores, int(slurm_cores)) if slurm_cores.isdecimal() and int(slurm_cores) else affinity_cores


def requested_gpu(device: str, worker: int) -> Any:
    """Return TensorFlow's physical device for a name, None for the CPU."""
    kind, _, number = device.partition(":")
    if device == "cpu":
        return None
    if kind != "gpu" or not (number.isdecimal() or device == "gpu"):
        raise TrainingError(f"There is no device {device!r}.", "Choose auto, cpu, gpu, or gpu:N with N from 0.")
    gpus = tf.config.list_physical_devices("GPU")
    index = int(number) if number else worker % max(len(gpus), 1)
    if index >= len(gpus):
        available = f"TensorFlow finds {len(gpus)} GPUs" if gpus else "TensorFlow finds no GPU"
        fix = f"Choose gpu:0 to gpu:{len(gpus) - 1}." if gpus else "Use --device cpu, or install tomoseg-tui[cuda]."
        raise TrainingError(f"The device {device} was requested, but {available} here.", fix)
    return gpus[index]


def _set_threads(thread_count: int) -> int:
    """Set the number of threads if TensorFlow has not started yet; return the number in use."""
    try:
        tf.config.threading.set_intra_op_parallelism_threads(thread_count)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:  # TensorFlow has started; only the speed is affected
        return int(tf.config.threading.get_intra_op_parallelism_threads()) or usable_cores()
    return thread_count


def peak_gpu_bytes() -> int:
    """Return TensorFlow's peak memory on the GPU; 0 on the CPU."""
    if not tf.config.get_visible_devices("GPU"):
        return 0
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
