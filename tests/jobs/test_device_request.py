"""Which devices a job waits for. There is no GPU here, so a stand-in speaks for the driver."""

from types import SimpleNamespace
from typing import Any

from tomoseg_tui.jobs.device_request import device_request_for, set_visible_gpus, visible_gpus


def driver(*used: float) -> Any:
    return SimpleNamespace(
        nvmlDeviceGetCount=lambda: len(used),
        nvmlDeviceGetHandleByIndex=lambda number: number,
        nvmlDeviceGetUUID=lambda number: f"GPU-{'abcdef'[number]}000",
        nvmlDeviceGetMemoryInfo=lambda number: SimpleNamespace(used=used[number], total=1.0),
    )


def wish(kind: str = "train", *, found: Any = None, **asked: Any) -> Any:
    return device_request_for(kind, asked, environment={}, find_driver=lambda: found)


def test_heavy_jobs_wait_for_the_cpu_and_light_ones_for_a_core_beside_it() -> None:
    assert wish("train").devices == wish("apply", device="cpu").devices == wish("audit").devices == ("cpu",)
    for kind in ("merge", "preprocess"):
        light = wish(kind)
        assert len(light.devices) >= 2
        assert "cpu" not in light.devices
        assert light.count == 1


def test_a_gpu_is_the_one_that_is_named_or_any() -> None:
    two = driver(0.0, 0.0)
    assert wish(device="gpu:1", found=two).devices == ("gpu-1",)
    assert wish(device="gpu", found=two).devices == ("gpu-0", "gpu-1")
    assert wish(device="gpu", found=two).text == "a GPU"
    assert wish("apply", device="gpu", workers=2, found=two).count == 2
    assert wish("apply", device="gpu", workers=7, found=two).count == 2


def test_without_a_driver_a_gpu_is_waited_for_by_its_number() -> None:
    assert wish(device="gpu").devices == ("gpu-0",)
    assert wish(device="gpu:3").devices == ("gpu-3",)


def test_gpus_that_others_use_come_last() -> None:
    wished = wish(device="gpu", found=driver(0.5, 0.0, 0.02))
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


def test_cuda_is_shown_what_was_taken() -> None:
    environment: dict[str, str] = {}
    set_visible_gpus(("gpu-3", "gpu-1"), environment)
    assert environment == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "3,1"}
    environment = {"CUDA_VISIBLE_DEVICES": "2"}
    set_visible_gpus((), environment)
    assert environment["CUDA_VISIBLE_DEVICES"] == "2"
