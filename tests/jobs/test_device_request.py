"""Which devices a job waits for; a stub replaces the GPU driver."""

from types import SimpleNamespace
from typing import Any

import pytest

from tomoseg_tui.jobs import device_request
from tomoseg_tui.jobs.device_request import (
    ResolvedDevice,
    device_request_for,
    resolve_device,
    set_visible_gpus,
    visible_gpus,
)


def driver(*used: float) -> Any:
    return SimpleNamespace(
        nvmlDeviceGetCount=lambda: len(used),
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetUUID=lambda number: f"GPU-{'abcdef'[number]}000",
        nvmlDeviceGetMemoryInfo=lambda number: SimpleNamespace(used=used[number], total=1.0),
    )


def request(kind: str = "train", *, found: Any = None, **asked: Any) -> Any:
    return device_request_for(kind, asked, environment={}, find_driver=lambda: found)


def test_heavy_jobs_wait_for_the_cpu_and_light_jobs_for_a_core() -> None:
    assert request("train").devices == request("apply", device="cpu").devices == request("audit").devices == ("cpu",)
    for kind in ("merge", "preprocess"):
        light = request(kind)
        assert len(light.devices) >= 2
        assert "cpu" not in light.devices
        assert light.count == 1


def test_a_job_waits_for_a_given_gpu_or_any_gpu() -> None:
    two = driver(0.0, 0.0)
    assert request(device="gpu:1", found=two).devices == ("gpu-1",)
    assert request(device="gpu", found=two).devices == ("gpu-0", "gpu-1")
    assert request(device="gpu", found=two).text == "a GPU"
    assert request("apply", device="gpu", workers=2, found=two).count == 2
    assert request("apply", device="gpu", workers=7, found=two).count == 2


def test_auto_is_a_gpu_that_tensorflow_can_use_else_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolved(found: Any, **environment: str) -> ResolvedDevice:
        return resolve_device("auto", environment=environment, find_driver=lambda: found)

    monkeypatch.setattr(device_request, "has_cuda_libraries", lambda: True)
    gpu, no_gpu = ResolvedDevice("gpu", "auto"), ResolvedDevice("cpu", "auto: no GPU found here")
    assert resolved(driver(0.0)) == resolved(driver(0.0, 0.9), CUDA_VISIBLE_DEVICES="1") == gpu
    assert resolved(None) == resolved(driver()) == resolved(driver(0.0), CUDA_VISIBLE_DEVICES="-1") == no_gpu
    assert resolved(None, CUDA_VISIBLE_DEVICES="0") == no_gpu
    monkeypatch.setattr(device_request, "has_cuda_libraries", lambda: False)
    without_cuda = resolved(driver(0.0))
    assert without_cuda.name == "cpu"
    assert "tomoseg-tui[cuda]" in without_cuda.note


def test_in_slurm_auto_is_a_gpu_only_if_slurm_has_allocated_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_request, "has_cuda_libraries", lambda: True)
    names = [
        resolve_device("auto", environment={"SLURM_JOB_ID": "7", **given}, find_driver=lambda: driver(0.0, 0.0)).name
        for given in ({}, {"CUDA_VISIBLE_DEVICES": ""}, {"CUDA_VISIBLE_DEVICES": "1"})
    ]
    assert names == ["cpu", "cpu", "gpu"]


def test_an_explicit_device_does_not_query_the_driver() -> None:
    def no_driver() -> Any:
        raise AssertionError("no driver need be asked")

    for name in ("cpu", "gpu", "gpu:3"):
        assert resolve_device(name, environment={}, find_driver=no_driver) == ResolvedDevice(name)


def test_auto_waits_for_the_resolved_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_request, "has_cuda_libraries", lambda: True)
    assert request(device="auto").devices == ("cpu",)
    assert request(device="auto", found=driver(0.0, 0.0)).devices == ("gpu-0", "gpu-1")
    assert request("apply", device="auto", workers=2, found=driver(0.0, 0.0)).count == 2


def test_without_a_driver_a_gpu_is_identified_by_its_number() -> None:
    assert request(device="gpu").devices == ("gpu-0",)
    assert request(device="gpu:3").devices == ("gpu-3",)


def test_gpus_that_other_programs_use_come_last() -> None:
    wished = request(device="gpu", found=driver(0.5, 0.0, 0.02))
    assert wished.order_by_preference({"gpu-0", "gpu-1", "gpu-2"}) == ["gpu-1", "gpu-2", "gpu-0"]
    assert wished.order_by_preference({"gpu-0"}) == ["gpu-0"]


def test_gpus_that_cuda_hides_are_not_waited_for() -> None:
    three = driver(0.0, 0.0, 0.0)
    assert visible_gpus({}, three) == ("gpu-0", "gpu-1", "gpu-2")
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "2, 0"}, three) == ("gpu-2", "gpu-0")
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "GPU-b000"}, three) == ("gpu-1",)
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "1,-1,2"}, three) == ("gpu-1",)
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": ""}, three) == ()
    assert visible_gpus({}, None) == ()
    hidden = device_request_for(
        "train", {"device": "gpu:0"}, environment={"CUDA_VISIBLE_DEVICES": "2"}, find_driver=lambda: three
    )
    assert hidden.devices == ("gpu-2",)


def test_only_acquired_gpus_are_visible_to_cuda() -> None:
    environment: dict[str, str] = {}
    set_visible_gpus(("gpu-3", "gpu-1"), environment)
    assert environment == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "3,1"}
    environment = {"CUDA_VISIBLE_DEVICES": "2"}
    set_visible_gpus((), environment)
    assert environment["CUDA_VISIBLE_DEVICES"] == "2"
