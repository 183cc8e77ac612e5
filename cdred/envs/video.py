"""Films of episodes, each made in a process of its own that loads a renderer and no learner."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cdred.envs.tasks import find
from cdred.errors import CdredError
from cdred.suites import simulator

SIZE = 240  # pixels, square


def cannot_film(task: str) -> str | None:
    """The reason why no machine like this one can film `task`, or None."""
    return simulator(find(task).suite).cannot_film()


def film(task: str, seed: int, actions: NDArray[Any], path: Path) -> None:
    """Write the episode of `seed` and `actions` (T, action_dim) as an H.264 film, in real time.

    Raises CdredError when the task cannot be rendered on this machine.
    """
    try:
        chosen = simulator(find(task).suite).render_variables()
    except CdredError as exc:
        raise CdredError(f"{task}: no film: {exc}; evaluation.video: 0 does without") from None
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/actions.npy", actions)
        done = subprocess.run(
            [sys.executable, "-m", "cdred.envs.video", task, str(seed), f"{folder}/actions.npy",
             str(path)],
            env=os.environ | chosen, capture_output=True, text=True,
        )  # fmt: skip
    if done.returncode or not path.exists():
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        by = "".join(f" by {name}={value}" for name, value in chosen.items())
        raise CdredError(f"{task}: no film{by}: {reason[:150]}; evaluation.video: 0 does without")


def main(task: str, seed: str, actions: str, path: str) -> None:
    import imageio.v3 as iio

    from cdred.envs import make

    env = make(task, render_mode="rgb_array", render_size=SIZE)
    env.reset(seed=int(seed))
    fps = env.metadata["render_fps"]
    frames: list[Any] = [env.render()]
    for action in np.load(actions):
        env.step(action)
        frames.append(env.render())
    one_way = ["-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]  # the same bytes
    env.close()
    iio.imwrite(
        path, np.stack(frames), fps=fps,
        codec="libx264", quality=None, macro_block_size=2,
        ffmpeg_params=["-crf", "26", "-movflags", "+faststart", *one_way],
    )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
