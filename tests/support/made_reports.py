"""Reports over results written by hand: what the tests of tables and of pages look at."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import save_file

from cdred import config, report
from cdred.methods import EXPERT
from cdred.plan import Job, Plan, overlays
from cdred.plan.description import describe
from support.project import CHECKOUT

RETURNS = {"expert": [900.0, 1000.0], "cdred": [800.0, 920.0], "bc": [0.0, 300.0]}
UPDATES = (10, 20, 23)  # the last row of metrics is a shorter interval
FILM = b"\0\0\0\x18ftypmp42 not really a film"
IMITATION = (
    "reward_expert", "reward_expert_std", "reward_behaviour", "reward_behaviour_std",
    "q_expert", "q_expert_std", "q_behaviour", "q_behaviour_std",
    "expert_error_on_expert", "expert_error_on_behaviour",
    "behaviour_error_on_expert", "behaviour_error_on_behaviour",
)  # fmt: skip
WORLD = (
    "consistency_1",
    "consistency_2",
    "consistency_loss",
    "reward_loss",
    "value_loss",
    "policy_loss",
)

Rows = list[dict[str, Any]]
Write = Callable[[Job, Path], None]


def metrics(method: str, seed: int) -> Rows:
    names = {"bc": ("bc_loss",), EXPERT: WORLD}.get(method, IMITATION + WORLD)
    return [
        {"step": 100 * k, "update": update}
        | {
            name: (-1) ** (name == "policy_loss") * (k + seed + 0.1 * n)
            for n, name in enumerate(names)
        }
        | {"grad_norm": float(k + seed), "grad_norm_max": 10.0 * k + seed}
        | {"grad_norm_all": 2.0 * (k + seed), "grad_norm_all_max": 2 * (10.0 * k + seed)}
        for k, update in enumerate(UPDATES, 1)
    ]


def write_csv(path: Path, rows: Rows) -> None:
    with path.open("w", newline="") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def write_results(job: Job, directory: Path) -> None:
    """An artifact written by hand; an agent's returns are 10 higher for each seed."""
    directory.mkdir(parents=True)
    method = job.params.get("method", EXPERT)
    if job.stage == "evaluate":
        method = job.inputs[0].params.get("method", EXPERT)
        episodes = [
            {
                "return": value + 10 * (job.seed if method != EXPERT else 0),
                "success_at_end": None,
                "success_once": None,
                "length": 500,
                "seed": 70 + k,
            }
            for k, value in enumerate(RETURNS[job.entry.split("-")[0]])
        ]
        mean = float(np.mean([e["return"] for e in episodes]))
        found = {"method": method, "task": job.task, "return_mean": mean, "episodes": episodes}
        (directory / "evaluation.json").write_text(json.dumps(found))
        if job.entry != "bc":
            (directory / "video.mp4").write_bytes(FILM + bytes([job.seed]))
            (directory / "worst.mp4").write_bytes(FILM + b"worst")
    elif job.stage == "demos":
        write_csv(
            directory / "episodes.csv",
            [{"episode": k, "return": r} for k, r in enumerate((940.0, 960.0))],
        )
        (directory / "data").mkdir()
        with h5py.File(directory / "data/main_data.hdf5", "w") as data:
            for k, r in enumerate((940.0, 960.0)):
                data[f"episode_{k}/rewards"] = np.array([0.0, r], np.float32)
    else:
        curve = {
            "step": 100,
            "update": UPDATES[-1],
            "return_mean": 5.0,
            "return_min": 1.0,
            "return_max": 9.0,
        }
        later = 880.0 if method == "cdred" else 6.0
        write_csv(directory / "curve.csv", [curve, curve | {"step": 200, "return_mean": later}])
        write_csv(directory / "metrics.csv", metrics(method, job.seed))
        (directory / "pretrained_model").mkdir()
        weights = {
            "model.weight": np.zeros((3, 4), np.float32),
            "model.bias": np.zeros(5, np.float32),
        }
        save_file(weights, directory / "pretrained_model" / "model.safetensors")


def make(
    root: Path, write: Write = write_results, method: str = "cdred", recorded: bool = False,
    variations: dict[str, dict[str, Any]] | None = None, **experiment: Any,
) -> tuple[Plan, Path]:  # fmt: skip
    """A report over results written by hand, of the toy experiment changed by `experiment`, its run
    `cdred` by `method`, its demonstrations those of others if they are `recorded`; with `variations` of its
    runs, by their names: `RUN-VALUE`."""
    data, _ = overlays.resolve(CHECKOUT / "config/toy.yaml", CHECKOUT)
    data["experiment"] |= experiment
    data["runs"]["cdred"]["method"] = method
    for name, changes in (variations or {}).items():
        data["runs"][name] = data["runs"][name.split("-")[0]] | changes
        data["experiment"]["runs"].append(name)
    if recorded:
        data["demos"]["expert-2"] = {"source": "pickle", "path": "theirs.pkl", "episodes": 2}
    root.mkdir(exist_ok=True)
    (root / "cdred").symlink_to(CHECKOUT / "cdred")
    plan = Plan(config.validate(data, {}, "test"), root)
    for job in plan.report.inputs:
        write(job, root / job.path)
    (out := root / "out").mkdir()
    report.write(describe(plan), out)
    return plan, out
