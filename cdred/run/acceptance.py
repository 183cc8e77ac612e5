"""The verdict on an expert: asked when it is made, no part of what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cdred.config.schema import Acceptance
from cdred.envs.tasks import find
from cdred.errors import CdredError, counted
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


def judge(job: Job, demanded: Acceptance, reached: float) -> str:
    """A line on an expert that reached a score. Raises CdredError when that is not enough."""
    summary = f"{find(job.task).measure} {reached:.4g} over {counted(demanded.episodes, 'episode')}"
    threshold, origin = demanded.threshold.get(job.task), "params.yaml: expert.threshold"
    if threshold is None:
        published = expert_score(job.task)
        if published is None:
            return f"{summary}; nothing is published for {job.task} to compare with"
        threshold = demanded.published_share * published
        origin = f"{demanded.published_share:.0%} of TD-MPC2's published {published:g}"
    if reached >= threshold:
        return f"{summary}, at least {threshold:.4g} ({origin})"
    summary = f"{summary}, below {threshold:.4g} ({origin})"
    if demanded.accept_below:
        return f"{summary}; accepted, as expert.accept_below says"
    raise CdredError(
        f"{job.path}: the expert is not good enough: {summary}; train it for longer, set "
        f"expert.threshold.{job.task} or expert.accept_below: true in params.yaml and run this "
        f"again: what was trained is kept until then"
    )
