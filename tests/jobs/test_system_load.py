"""Load of the processors; a stub replaces the GPU driver."""

from types import SimpleNamespace
from typing import Any

from tomoseg_tui.jobs.system_load import SystemLoad, SystemLoadMeter


def test_the_load_is_formatted_in_one_line() -> None:
    assert SystemLoad(12.4, (71, 3)).format_load() == "GPU 0 71%  GPU 1 3%  CPU 12%"
    assert SystemLoad(0.0).format_load() == "CPU 0%"
    assert SystemLoad(5.0, (71,), ((5_100_000_000, 25_000_000_000),)).format_load() == "GPU 0 71% 5 of 25 GB  CPU 5%"


def test_without_a_driver_only_the_cpu_is_measured() -> None:
    load = SystemLoadMeter(lambda: None).read()
    assert load.gpu_percents == ()
    assert 0 <= load.cpu_percent <= 100


def test_each_gpu_is_measured_until_the_driver_fails() -> None:
    asked: list[Any] = []

    def rates(handle: int) -> SimpleNamespace:
        asked.append(handle)
        if len(asked) > 2:
            raise RuntimeError
        return SimpleNamespace(gpu=10 * handle)

    driver = SimpleNamespace(
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda n: n + 1,
        nvmlDeviceGetUtilizationRates=rates,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(used=handle, total=24),
    )
    meter = SystemLoadMeter(lambda: driver)
    load = meter.read()
    assert (load.gpu_percents, load.gpu_bytes) == ((10, 20), ((1, 24), (2, 24)))
    assert meter.read().gpu_percents == ()
    assert meter.read().gpu_percents == ()
