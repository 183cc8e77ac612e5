"""Samples of the machine while a job runs: MLflow's system metrics, and energy where it is counted.

Names and units are those of MLflow's own monitors, which are not used, since importing them takes
every stage 1.7 s and 120 MB. All of it is of the whole machine, other programs included.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cdred.system.machine import has_nvidia

EVERY = 10.0  # seconds, as MLflow has it
POWERCAP = Path("/sys/class/powercap")


class Sampler:
    """A thread that samples the machine every few seconds and passes each sample on.

    `joules` is what the counters of energy went up by; None where there are none to be read. No
    error of a sensor or a missing package gets out of the thread.
    """

    def __init__(
        self, tell: Callable[[dict[str, float]], None] | None, powercap: Path = POWERCAP,
        every: float = EVERY,
    ) -> None:  # fmt: skip
        self.tell, self.powercap, self.every = tell, powercap, every
        self.joules: float | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample. Waits for it, but not for a driver that hangs."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def _run(self) -> None:
        with contextlib.suppress(Exception):
            gpus = nvidia_gpus()
            sensors = [*_working(System, Network), *gpus] if self.tell else []
            counters = [*rapl(self.powercap), *_working(*(gpu.counter for gpu in gpus))]
            last = None
            while not self._stopped.wait(self.every):
                self._sample(sensors, counters)
                last = time.monotonic()
            if last is None or time.monotonic() - last > 1:
                self._sample(sensors, counters)

    def _sample(self, sensors: list[Any], counters: list[Counter]) -> None:
        if counters:
            self.joules = round(sum(counter.joules() for counter in counters), 1)
        seen: dict[str, float] = {}
        for sensor in sensors:
            with contextlib.suppress(Exception):
                seen |= {name: round(value, 1) for name, value in sensor.read().items()}
        if self.tell is not None and seen:
            self.tell(seen)


def _working(*makers: Callable[[], Any]) -> list[Any]:
    """The results of the makers that do not fail for want of a package or a sensor."""
    made = []
    for make in makers:
        with contextlib.suppress(Exception):
            made.append(make())
    return made


class System:
    """Processors, memory and the root disk."""

    def __init__(self) -> None:
        import psutil

        psutil.cpu_percent()  # since when the first sample tells

    def read(self) -> dict[str, float]:
        import psutil

        memory, disk = psutil.virtual_memory(), psutil.disk_usage(os.sep)
        return {
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "system_memory_usage_megabytes": memory.used / 1e6,
            "system_memory_usage_percentage": memory.used / memory.total * 100,
            "disk_usage_percentage": disk.percent,
            "disk_usage_megabytes": disk.used / 1e6,
            "disk_available_megabytes": disk.free / 1e6,
        }


class Network:
    """Traffic since the job began."""

    def __init__(self) -> None:
        import psutil

        self._first = psutil.net_io_counters()

    def read(self) -> dict[str, float]:
        import psutil

        now = psutil.net_io_counters()
        return {
            "network_receive_megabytes": (now.bytes_recv - self._first.bytes_recv) / 1e6,
            "network_transmit_megabytes": (now.bytes_sent - self._first.bytes_sent) / 1e6,
        }


class Gpu:
    """One of NVIDIA's GPUs, by its number; values that it does not report are left out."""

    def __init__(self, index: int) -> None:
        import pynvml

        self.index, self._nvml = index, pynvml
        self._handle = pynvml.nvmlDeviceGetHandleByIndex(index)

    def read(self) -> dict[str, float]:
        nvml, values = self._nvml, {}
        with contextlib.suppress(nvml.NVMLError):
            memory = nvml.nvmlDeviceGetMemoryInfo(self._handle)
            values["memory_usage_percentage"] = memory.used / memory.total * 100
            values["memory_usage_megabytes"] = memory.used / 1e6
        with contextlib.suppress(nvml.NVMLError):
            values["utilization_percentage"] = nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu
        with contextlib.suppress(nvml.NVMLError):
            watts = nvml.nvmlDeviceGetPowerUsage(self._handle) / 1000
            values["power_usage_watts"] = watts
            limit = nvml.nvmlDeviceGetEnforcedPowerLimit(self._handle) / 1000
            values["power_usage_percentage"] = watts / limit * 100
        return {f"gpu_{self.index}_{name}": value for name, value in values.items()}

    def counter(self) -> Counter:
        """Its energy counter. Raises NVMLError if it has none (before Volta)."""
        return Counter(lambda: self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) / 1e3)


def nvidia_gpus() -> list[Gpu]:
    """This machine's GPUs, by NVML; none without its driver or the package nvidia-ml-py."""
    if not has_nvidia():
        return []
    try:
        import pynvml

        pynvml.nvmlInit()
        return [Gpu(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except Exception:
        return []


class Counter:
    """Joules since it was created. RAPL's counters start over at 0 after `most`, some within the
    hour: ask more often than that."""

    def __init__(self, read: Callable[[], float], most: float = 0.0) -> None:
        self._read, self._most, self._total = read, most, 0.0
        self._last = read()

    def joules(self) -> float:
        with contextlib.suppress(Exception):
            now = self._read()
            self._total += now - self._last + (self._most if now < self._last else 0)
            self._last = now
        return self._total


def rapl(powercap: Path) -> list[Counter]:
    """Counters of processors and memory, AMD's too; none unless this user may read the files."""
    counters = []
    for zone in sorted(powercap.glob("intel-rapl:*")):
        with contextlib.suppress(OSError, ValueError):
            name = (zone / "name").read_text().strip()
            # The other zones are parts of a package, or (psys) contain it.
            if name.startswith("package") or name == "dram":
                most = int((zone / "max_energy_range_uj").read_text()) / 1e6
                counters.append(Counter(_microjoules(zone / "energy_uj"), most))
    return counters


def _microjoules(file: Path) -> Callable[[], float]:
    return lambda: int(file.read_text()) / 1e6
