"""Is an expert good enough to imitate? Asked when it is made; no part of what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cdred.config.schema import Acceptance
from cdred.envs.tasks import find
from cdred.errors import CdredError
from cdred.learning.play import play
from cdred.report.published import expert_score

if TYPE_CHECKING:
    from cdred.learning.agent import Agent
    from cdred.learning.scripted import ScriptedExpert
    from cdred.plan import Job


def score(agent: Agent | ScriptedExpert, task: str, episodes: int) -> float:
    """The mean return or share of successes, as its task measures, over `episodes` of its own."""
    played = play(agent, task, episodes, 0, "acceptance")
    if find(task).measure == "success":
        return float(np.mean([bool(e.success) for e in played]))
    return float(np.mean([e.episode_return for e in played]))


def judge(job: Job, wanted: Acceptance, found: float) -> str:
    """The verdict on an expert with `score`. Raises CdredError when it is not good enough."""
    said = f"{find(job.task).measure} {found:.4g} over {wanted.episodes} episodes"
    threshold, origin = wanted.threshold.get(job.task), "params.yaml: expert.threshold"
    if threshold is None:
        published = expert_score(job.task)
        if published is None:
            return f"{said}; nothing is published for {job.task} to compare with"
        threshold = wanted.published_share * published
        origin = f"{wanted.published_share:.0%} of TD-MPC2's published {published:g}"
    if found >= threshold:
        return f"{said}, at least {threshold:.4g} ({origin})"
    said = f"{said}, below {threshold:.4g} ({origin})"
    if wanted.accept_below:
        return f"{said}; accepted, as expert.accept_below says"
    raise CdredError(
        f"{job.path}: the expert is not good enough: {said}; train it for longer, set "
        f"expert.threshold.{job.task} or expert.accept_below: true in params.yaml and run this "
        f"again: what was trained is kept until then"
    )
