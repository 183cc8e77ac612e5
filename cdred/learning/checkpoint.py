"""Taking an agent that somebody else trained as an expert."""

from __future__ import annotations

from pathlib import Path

from cdred.envs.tasks import find
from cdred.errors import CdredError
from cdred.learning.agent import Agent


def load_expert(folder: Path, task: str, obs: str, name: str) -> Agent:
    """Load the agent in `folder`, called `name` in errors.

    Raises CdredError when there is none, or it was not made for this task and observation mode.
    """
    try:
        agent = Agent.from_pretrained(folder)
    except CdredError as exc:
        reason = str(exc).removeprefix(f"{folder}: ").removeprefix("cannot be loaded: ")
        raise CdredError(f"checkpoint {name}: cannot be loaded: {reason}") from None
    if agent.task != task:
        raise CdredError(f"checkpoint {name}: an agent for {agent.task}, not for {task}")
    spec = find(task)
    state = agent.obs == "state"
    for what, has, needed in (
        ("observations", agent.obs, obs),
        ("action_dim", agent.action_dim, spec.action_dim),
        ("obs_dim", agent.obs_shape[0] if state else 0, spec.obs_dim if state else 0),
    ):
        if has != needed:
            raise CdredError(
                f"checkpoint {name}: does not fit {task}: {what} {has}, the task's are {needed}"
            )
    return agent
