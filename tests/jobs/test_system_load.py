"""How busy processors are. There is no GPU here, so a stand-in speaks for the driver."""

from types import SimpleNamespace
from typing import Any

from tomoseg_tui.jobs.system_load import Load, LoadMeter


def test_the_load_is_said_in_a_line() -> None:
    assert Load(12.4, (71, 3)).in_words() == "GPU 0 71%  GPU 1 3%  CPU 12%"
    assert Load(0.0).in_words() == "CPU 0%"
    assert Load(5.0, (71,), ((5_100_000_000, 25_000_000_000),)).in_words() == "GPU 0 71% 5 of 25 GB  CPU 5%"


def test_without_a_driver_there_is_the_cpu_alone() -> None:
    load = LoadMeter(lambda: None).look()
    assert load.gpu_percents == ()
    assert 0 <= load.cpu_percent <= 100


def test_each_gpu_is_told_until_its_driver_fails() -> None:
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
    meter = LoadMeter(lambda: driver)
    load = meter.look()
    assert (load.gpu_percents, load.gpu_bytes) == ((10, 20), ((1, 24), (2, 24)))
    assert meter.look().gpu_percents == ()
    assert meter.look().gpu_percents == ()
