"""cdred in Python: train an agent, play it, film it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cdred import documents, methods
from cdred.demos import dataset
from cdred.demos.recorded import Expected, Recorded
from cdred.envs.episodes import Episode, summary
from cdred.envs.tasks import OBS, check_trusted, find
from cdred.errors import CdredError, nearest
from cdred.evaluation import film_episode
from cdred.hub.agent import Agent
from cdred.learning import train as training
from cdred.learning.device import select
from cdred.learning.monitor import Monitor
from cdred.learning.play import play
from cdred.learning.seeding import generators_kept
from cdred.learning.settings import PRESETS, Settings, Use


@dataclass(frozen=True)
class Evaluation:
    """Seeded episodes of an agent, as the pipeline evaluates it."""

    agent: str
    episodes: list[Episode]

    @property
    def returns(self) -> list[float]:
        return [e.episode_return for e in self.episodes]

    @property
    def mean(self) -> float:
        """The mean return."""
        return float(np.mean(self.returns))

    @property
    def success(self) -> float | None:
        """The share of episodes that end in success; None where the suite knows none."""
        known = [e.success for e in self.episodes if e.success is not None]
        return float(np.mean(known)) if known else None

    def __repr__(self) -> str:
        spread = f"sd {np.std(self.returns, ddof=1):.1f}, " if len(self.episodes) > 1 else ""
        return f"<{self.agent}: {summary(self.episodes)} ({spread}{len(self.episodes)} episodes)>"


def evaluate(agent: Agent, episodes: int = 20, seed: int = 0, threads: int = 1) -> Evaluation:
    """Play seeded episodes, the agent acting as it is evaluated. By default the twenty of
    `cdred`'s own evaluations, on the same machine with the same results. `threads`: of the
    processor; small networks are fastest with one.

    Raises CdredError when its task cannot be played on this machine, or is one of somebody's own
    whose module was not imported yet.
    """
    check_trusted(agent.task)
    if episodes < 1:
        raise CdredError(f"episodes: {episodes}: at least 1")
    length = find(agent.task).episode_length
    with _threads(threads), _bar(f"evaluate {agent.task}", length) as monitor:
        played = play(agent, agent.task, episodes, seed, "evaluation", monitor)
    return Evaluation(f"{agent.task}, {agent.method}", played)


def train(
    task: str, method: str = "cdred",
    demonstrations: str | Path | Sequence[Episode] = (),
    *, seed: int = 0, obs: str = "state", preset: str = "small", device: str = "auto",
    threads: int = 1, **settings: Any,
) -> Agent:  # fmt: skip
    """Train an agent in this process, without an artifact: for trying things out.

    `demonstrations`: the folder of an artifact (`artifacts/demos/TASK/DEMOS`), or episodes.
    `threads`: of the processor; more than one pays from the paper's sizes on. `settings`: those of
    the method beyond its preset, `steps` above all (config/schema.json has them).

    Raises CdredError for an unknown task, method or setting, and for settings or demonstrations
    that do not go with each other.
    """
    if obs not in OBS:
        raise CdredError(f"obs: no observation mode is called {obs!r}; {nearest(obs, [*OBS])}")
    definition, length = methods.find(method), find(task).episode_length
    s = _settings(definition.settings, preset, settings)
    for problem in s.problems(Use(obs, length)):
        raise CdredError(f"{problem.key}: {problem.message}")
    horizon = getattr(s, "horizon", 1)
    if isinstance(demonstrations, str | Path):
        demonstrations = dataset.read(Path(demonstrations), task, obs, None, horizon)
    else:
        demonstrations = _checked(demonstrations, Expected(task, obs, horizon=horizon))
    if definition.uses_demonstrations and not demonstrations:
        raise CdredError(f"{method} learns from demonstrations: give their folder, or episodes")
    chosen = select(device)
    with generators_kept(), _threads(threads), _bar(f"{method} {task}", s.steps) as monitor:
        agent, _ = training.train(
            task, method, s, seed, [*demonstrations], chosen, monitor, obs, Agent
        )
    assert isinstance(agent, Agent)
    return agent


def film(agent: Agent, seed: int = 0, path: str | Path = "episode.mp4") -> Episode:
    """Play one episode of the agent as it is evaluated, and film it to `path` (.mp4).

    Raises CdredError when its task cannot be played or rendered on this machine, or is one of
    somebody's own whose module was not imported yet.
    """
    with _threads(1):
        return film_episode(agent, seed, path)


def _checked(episodes: Sequence[Episode], expected: Expected) -> list[Episode]:
    """Episodes as a learner takes them. Raises CdredError when one does not fit."""
    return [
        Recorded(e.obs, e.action, e.reward, e.success, e.seed, success_once=e.success_once).episode(
            f"demonstrations, episode {k}", k, expected
        )
        for k, e in enumerate(episodes)
    ]


def _settings(kind: type[Settings], preset: str, given: dict[str, Any]) -> Settings:
    """A preset with some settings changed. Raises CdredError when one is unknown or out of
    bounds."""
    if preset not in PRESETS:
        raise CdredError(f"preset: none is called {preset!r}; {nearest(preset, [*PRESETS])}")
    for name in given:
        if name not in kind.model_fields:
            hint = nearest(name, [*kind.model_fields])
            raise CdredError(f"no setting is called {name!r}; {hint}")
    return documents.check(kind, kind.preset_values(preset) | given, "settings")


class _Bar(Monitor):
    """Progress as a bar on a terminal."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar

    def progress(self, done: int, highlights: dict[str, float]) -> None:
        self.bar.update(done - self.bar.n)
        if highlights:
            self.bar.set_postfix({k: f"{v:.1f}" for k, v in highlights.items()}, refresh=False)

    def notice(self, text: str) -> None:
        warnings.warn(text, stacklevel=2)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _bar(label: str, total: int) -> Iterator[Monitor]:
    from tqdm.auto import tqdm

    with tqdm(total=total, desc=label, unit="step", disable=None, leave=False) as bar:
        yield _Bar(bar)
