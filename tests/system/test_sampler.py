"""The samples of a running job's machine: MLflow's own names, and energy where it is counted."""

from __future__ import annotations

import threading
from pathlib import Path

import psutil
import pytest
from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

from cdred.system.sampler import Sampler


def zone(powercap: Path, number: str, name: str, microjoules: int, most: int = 10**9) -> Path:
    """A zone as the kernel shows it in /sys/class/powercap."""
    folder = powercap / number
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{most}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder / "energy_uj"


class Seen:
    """Samples, and a way to wait for so many."""

    def __init__(self) -> None:
        self.samples: list[dict[str, float]] = []
        self._more = threading.Condition()

    def __call__(self, sample: dict[str, float]) -> None:
        with self._more:
            self.samples.append(sample)
            self._more.notify()

    def wait_for_more(self, count: int) -> None:
        with self._more:
            wanted = len(self.samples) + count
            assert self._more.wait_for(lambda: len(self.samples) >= wanted, timeout=60)


def test_system_metrics_have_the_names_and_units_of_mlflow(tmp_path: Path) -> None:
    seen = Seen()
    sampler = Sampler(seen, powercap=tmp_path, every=0.02)
    sampler.start()
    seen.wait_for_more(3)
    sampler.stop()
    wanted: dict[str, float] = {}
    for monitor in (CPUMonitor(), DiskMonitor(), NetworkMonitor()):
        monitor.collect_metrics()
        wanted |= monitor.aggregate_metrics()
    found = seen.samples[-1]
    own = {name: value for name, value in found.items() if not name.startswith("gpu_")}
    assert own.keys() == wanted.keys()
    assert found["disk_usage_megabytes"] == pytest.approx(wanted["disk_usage_megabytes"], rel=0.1)
    assert 0 < found["system_memory_usage_megabytes"] < psutil.virtual_memory().total / 1e6
    told = len(seen.samples)
    threading.Event().wait(0.2)
    assert len(seen.samples) == told  # nothing comes after the end


def test_a_job_shorter_than_the_interval_has_a_sample_all_the_same(tmp_path: Path) -> None:
    seen = Seen()
    sampler = Sampler(seen, powercap=tmp_path)
    sampler.start()
    sampler.stop()
    assert len(seen.samples) == 1


def test_energy_is_that_of_packages_and_memory_also_when_a_counter_starts_over(
    tmp_path: Path,
) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 990_000_000)
    memory = zone(tmp_path, "intel-rapl:0:1", "dram", 5_000_000)
    core = zone(tmp_path, "intel-rapl:0:0", "core", 0)  # a part of the package
    whole = zone(tmp_path, "intel-rapl:1", "psys", 0)  # of which the package is a part
    again = zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0)  # the package by another way
    seen = Seen()
    sampler = Sampler(seen, powercap=tmp_path, every=0.02)
    sampler.start()
    seen.wait_for_more(2)
    for counter in (core, whole, again):
        counter.write_text("700000000\n")
    memory.write_text("9000000\n")
    package.write_text("20000000\n")
    seen.wait_for_more(2)
    sampler.stop()
    assert sampler.joules == pytest.approx(10 + 20 + 4)


def test_without_counters_there_is_no_energy(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 0).unlink()  # as to those who may not read it
    sampler = Sampler(None, powercap=tmp_path)
    sampler.start()
    sampler.stop()
    assert sampler.joules is None
