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
FPS = 15  # frames per second, about: in software each takes longer to render than to act

_REFUSED = 2  # the exit status of a process that ends with the one line of a CdredError

Take = tuple[int, NDArray[Any], Path]  # an episode's seed and actions (T, action_dim), and the film


def cannot_film(task: str) -> str | None:
    """The reason why no machine like this one can film `task`, or None."""
    return simulator(find(task).suite).cannot_film()


def film(task: str, *takes: Take) -> None:
    """Write each take as an H.264 film, in real time, with the number of the step.

    Raises CdredError when the task cannot be rendered on this machine.
    """
    if task.startswith("__main__:"):
        raise CdredError(
            f"{task}: no film: it is made in a process of its own; put the task in a module"
        )
    try:
        chosen = simulator(find(task).suite).render_variables()
    except CdredError as exc:
        raise CdredError(f"{task}: no film: {exc}") from None
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # as here
    with tempfile.TemporaryDirectory() as folder:
        told = []
        for k, (seed, actions, file) in enumerate(takes):
            np.save(f"{folder}/{k}.npy", actions)
            told += [str(seed), f"{folder}/{k}.npy", str(file)]
        done = subprocess.run(
            [sys.executable, "-m", "cdred.envs.video", task, *told],
            env=os.environ | chosen | {"PYTHONPATH": path}, capture_output=True, text=True,
        )  # fmt: skip
    reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    if done.returncode == _REFUSED:
        raise CdredError(f"{task}: no film: {reason.removeprefix(f'{task}: ')}")
    if done.returncode or not all(file.exists() for _, _, file in takes):
        by = "".join(f" by {name}={value}" for name, value in chosen.items())
        raise CdredError(f"{task}: no film{by}: {reason[:150]}")


def main(task: str, *told: str) -> None:
    try:
        for seed, actions, path in zip(told[::3], told[1::3], told[2::3], strict=True):
            _film(task, int(seed), np.load(actions), path)
    except CdredError as exc:
        print(exc, file=sys.stderr)
        sys.exit(_REFUSED)


def _film(task: str, seed: int, actions: NDArray[Any], path: str) -> None:
    import imageio.v3 as iio

    from cdred.envs import make

    env = make(task, render_mode="rgb_array", render_size=SIZE)
    env.reset(seed=seed)
    fps = env.metadata["render_fps"]
    every = max(1, round(fps / FPS))
    frames = [_numbered(env.render(), 0)]
    for step, action in enumerate(actions, 1):
        env.step(action)
        if step % every == 0:
            frames.append(_numbered(env.render(), step))
    one_way = ["-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]  # the same bytes
    env.close()
    iio.imwrite(
        path, np.stack(frames), fps=fps / every,
        codec="libx264", quality=None, macro_block_size=2,
        ffmpeg_params=["-crf", "26", "-movflags", "+faststart", *one_way],
    )  # fmt: skip


def _numbered(frame: Any, step: int) -> NDArray[Any]:
    """A frame with the number of its step in the lower left corner."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(frame)
    ImageDraw.Draw(image).text(
        (6, SIZE - 6), f"step {step}", "white", ImageFont.load_default(13), anchor="ls",
        stroke_width=1, stroke_fill="black",
    )  # fmt: skip
    return np.asarray(image)


if __name__ == "__main__":
    main(*sys.argv[1:])
