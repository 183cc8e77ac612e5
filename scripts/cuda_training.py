"""Train for real on a device for a share of time.

Without the engines and their artifacts, since the machine may lack both: what it takes and reaches
is written to a JSON file as it comes. By default an expert of true reward, then CDRED on its
episodes; `--demonstrations DIR` are those of an artifact, and then there is no expert.
scripts/test-cuda runs it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cdred import documents, methods
from cdred.config.parsing import plain
from cdred.demos import dataset
from cdred.envs.episodes import Episode
from cdred.envs.tasks import find
from cdred.errors import CdredError
from cdred.learning import registry
from cdred.learning.agent import Agent
from cdred.learning.device import device_name, prepare, select
from cdred.learning.monitor import Monitor
from cdred.learning.play import play
from cdred.learning.seeding import seed_everything
from cdred.learning.settings import PRESETS, Settings
from cdred.system import machine
from cdred.system.sampler import nvidia_gpus

EXPERTS_SHARE = 0.5  # of the time, where there is one
LAST = 0.06  # share of the time that is left for the episodes at the end
DEMONSTRATIONS, EVALUATED = 5, 20  # episodes
WRITE_EVERY = 2.0  # seconds


class TimeUpError(Exception):
    """The share of time is used up."""


class Clock(Monitor):
    """Stops a training in time, and keeps its curve and its pace in `row`."""

    def __init__(self, row: dict[str, Any], seconds: float, write: Callable[[], None]) -> None:
        self.row_, self.write = row, write
        self.start, self.end = time.monotonic(), time.monotonic() + seconds
        self.written = 0.0
        self.gpus = nvidia_gpus()
        self.utilization: list[float] = []
        row |= {"steps": 0, "updates": 0, "curve": [], "pace": []}

    def row(self, table: str, row: dict[str, float]) -> None:
        now = round(time.monotonic() - self.start, 2)
        if table == "curve":
            self.row_["curve"].append({"seconds": now} | row)
        else:
            self.row_["updates"] = int(row["update"])
            self.row_["pace"].append({"seconds": now, "step": row["step"], "update": row["update"]})
            self.look(int(row["step"]))  # the updates of the random phase come in one step

    def progress(self, done: int, shown: dict[str, float]) -> None:
        self.look(done)

    def look(self, step: int) -> None:
        now = time.monotonic()
        self.row_ |= {"steps": step, "seconds": round(now - self.start, 2)}
        if now - self.written > WRITE_EVERY:
            self.written = now
            for gpu in self.gpus[:1]:
                self.utilization.append(gpu.read().get("gpu_0_utilization_percentage", np.nan))
                self.row_["gpu_utilization_percent"] = round(float(np.nanmean(self.utilization)), 1)
            self.write()
        if now > self.end:
            raise TimeUpError


def train(
    task: str, method: str, s: Settings, demonstrations: list[Episode], device: torch.device,
    clock: Clock,
) -> Agent:  # fmt: skip
    """Train until time is up, and return the agent as it is then."""
    seed_everything(0)
    spec = find(task)
    agent = Agent.create(task, method, (spec.obs_dim,), spec.action_dim, s).to(device)
    trainer = registry.load(agent.spec.trainer)(agent, s, 0, demonstrations, clock)
    with contextlib.suppress(TimeUpError):
        trainer.run()  # closes its simulators
    clock.row_["updates"] = trainer.updates
    pace = clock.row_["pace"]
    if len(pace) > 1:  # since the updates of the random phase, which come at once
        first, last = pace[len(pace) // 2], pace[-1]
        span = max(last["seconds"] - first["seconds"], 1e-9)
        clock.row_["steps_per_second"] = round((last["step"] - first["step"]) / span, 2)
        clock.row_["updates_per_second"] = round((last["update"] - first["update"]) / span, 2)
    return agent.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--task", default="walker-walk")
    parser.add_argument("--preset", choices=[*PRESETS], default="paper")
    parser.add_argument("--methods", nargs="+", default=["cdred"])
    parser.add_argument("--demonstrations", type=Path, metavar="DIR")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="of the settings")
    parser.add_argument("--seconds", type=float, default=270)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.out.is_dir():
        parser.error(f"--out {args.out}: a directory; the name of a file is needed")
    begun = time.monotonic()
    prepare(2 if args.device == "cuda" else 1)
    device = select(args.device, machine.take_gpu)
    found: dict[str, Any] = {
        "device": device_name(device), "machine": machine.name(), "torch": torch.__version__,
        "task": args.task, "preset": args.preset, "set": args.set,
    }  # fmt: skip

    def write() -> None:
        if device.type == "cuda":
            found["peak_gpu_memory_mb"] = torch.cuda.max_memory_allocated() // 2**20
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

    demonstrations: list[Episode] = []
    if args.demonstrations:
        demonstrations = dataset.read(args.demonstrations, args.task)
        returns = [e.episode_return for e in demonstrations]
        found["demonstrations"] = {"episodes": len(returns), "return_mean": np.mean(returns).item()}
    first = [] if demonstrations else [methods.EXPERT]
    chosen = [*first, *args.methods]
    changes = dict(pair.partition("=")[::2] for pair in args.set)
    known = {n for method in chosen for n in methods.find(method).settings.model_fields}
    if unknown := sorted({*changes} - known):
        parser.error(f"--set {unknown[0]}: no setting of {', '.join(chosen)}")
    for k, method in enumerate(chosen):
        settings = methods.find(method).settings
        own = {"steps": 10**6, "log_every": 100, "eval_every": 2_000, "eval_episodes": 5}
        own |= {n: plain(v) for n, v in changes.items() if n in settings.model_fields}
        try:
            s = documents.check(settings, settings.preset_values(args.preset) | own, "--set")
        except CdredError as exc:
            parser.error(str(exc))
        row = found["expert" if method == methods.EXPERT else method] = {}
        left = args.seconds - (time.monotonic() - begun)
        share = EXPERTS_SHARE if method == methods.EXPERT else 1 / (len(chosen) - k)
        agent = train(
            args.task, method, s, demonstrations, device,
            Clock(row, share * left - LAST * args.seconds, write),
        )  # fmt: skip
        write()
        if args.seconds - (time.monotonic() - begun) < LAST / 2 * args.seconds:
            break
        count = EVALUATED if demonstrations else DEMONSTRATIONS
        episodes = play(agent, args.task, count, 1, "device test")
        returns = [round(e.episode_return, 1) for e in episodes]
        row |= {"returns": returns, "return_mean": round(float(np.mean(returns)), 1)}
        if episodes[0].success is not None:
            row |= {
                "success_at_end": np.mean([bool(e.success) for e in episodes]).item(),
                "success_once": np.mean([bool(e.success_once) for e in episodes]).item(),
            }
        demonstrations = demonstrations or episodes
        write()


if __name__ == "__main__":
    main()
