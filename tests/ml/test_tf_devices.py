"""TensorFlow's device."""

import re
from types import SimpleNamespace

import pytest
import tensorflow as tf

from tomoseg_tui.errors import TrainingError
from tomoseg_tui.ml import tf_devices
from tomoseg_tui.ml.tf_devices import prepare_device


def test_the_cpu_is_named_with_its_threads() -> None:
    assert re.fullmatch(r"Running on the CPU with \d+ threads?\.", prepare_device("cpu", threads=1).text)


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU here")
def test_auto_is_the_cpu_where_there_is_no_gpu_and_says_why() -> None:
    device = prepare_device("auto", threads=1)
    assert device.name == "cpu"
    assert re.fullmatch(r"On the CPU: TensorFlow finds no GPU here\. Running with \d+ threads?\.", device.text)


def test_auto_is_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    first = SimpleNamespace(name="/physical_device:GPU:0")
    chosen: list[object] = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: [first])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda devices, _kind: chosen.extend(devices))
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda _device, _grows: None)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda _device: {"device_name": "a card"})
    device = prepare_device("auto", threads=1)
    assert (device.name, chosen) == ("gpu", [first])
    assert device.text.startswith("Running on gpu:0 (a card) with ")


def test_the_current_and_the_alternative_device_have_names_of_the_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (tf_devices.current_device(), tf_devices.alternative_device()) == ("cpu", "gpu")
    second = SimpleNamespace(name="/physical_device:GPU:1")
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _kind: [second])
    assert (tf_devices.current_device(), tf_devices.alternative_device()) == ("gpu:1", "cpu")


def test_threads_already_started_are_kept_and_named() -> None:
    tf.reduce_sum(tf.ones(3))
    assert prepare_device("cpu", threads=7) == prepare_device("cpu", threads=5)


def test_no_more_cores_are_used_than_slurm_assigned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_CPUS_ON_NODE", raising=False)
    seen = tf_devices.usable_cores()
    for given, used in (("1", 1), (str(seen + 4), seen), ("0", seen), ("two", seen), ("", seen)):
        monkeypatch.setenv("SLURM_CPUS_ON_NODE", given)
        assert tf_devices.usable_cores() == used


@pytest.mark.parametrize("device", ["tpu", "gpu1", "gpu:x", "", "cpu:0"])
def test_an_unknown_device_is_refused_with_a_clear_error(device: str) -> None:
    with pytest.raises(TrainingError, match="There is no device"):
        prepare_device(device)


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU here")
@pytest.mark.parametrize("device", ["gpu", "gpu:0", "gpu:3"])
def test_a_missing_gpu_is_refused_with_a_clear_error(device: str) -> None:
    with pytest.raises(TrainingError, match="finds no GPU") as refused:
        prepare_device(device)
    assert "--device cpu" in refused.value.fix


def test_each_worker_gets_another_gpu_and_a_numbered_one_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _kind: ["first", "second"])
    assert [tf_devices.requested_gpu("gpu", worker) for worker in range(3)] == ["first", "second", "first"]
    assert [tf_devices.requested_gpu("gpu:1", worker) for worker in range(2)] == ["second", "second"]
    with pytest.raises(TrainingError, match="finds 2 GPUs"):
        tf_devices.requested_gpu("gpu:2", 0)


@pytest.mark.parametrize("threads", [0, -1])
def test_0_threads_are_refused(threads: int) -> None:
    with pytest.raises(TrainingError, match="threads were requested"):
        prepare_device("cpu", threads=threads)
