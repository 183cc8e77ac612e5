"""Films of episodes. Each is made in a process of its own: the software renderer (Mesa) and the
compiler that torch loads (Triton) bring two LLVMs, and a process with both may crash."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from cdred.errors import CdredError

SIZE = 240  # pixels, square


def film(task: str, seed: int, actions: np.ndarray, path: Path) -> None:
    """Write the episode of `seed` and `actions` (T, action_dim) as an H.264 film, in real time.

    Raises CdredError when the task cannot be rendered on this machine.
    """
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/actions.npy", actions)
        done = subprocess.run(
            [sys.executable, "-m", "cdred.envs.video", task, str(seed), f"{folder}/actions.npy",
             str(path)],
            env=os.environ | {"MUJOCO_GL": renderer()}, capture_output=True, text=True,
        )  # fmt: skip
    if done.returncode or not path.exists():
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise CdredError(
            f"{task} cannot be rendered by MUJOCO_GL={renderer()} ({reason[:150]}); install "
            f"libosmesa6, or set evaluation.video: 0"
        )


def renderer() -> str:
    """MuJoCo's OpenGL: what MUJOCO_GL says, else EGL where there is a GPU, else software."""
    if chosen := os.environ.get("MUJOCO_GL"):
        return chosen
    gpu = Path("/dev/nvidia0").exists() or list(Path("/dev/dri").glob("renderD*"))
    return "egl" if gpu else "osmesa"


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
