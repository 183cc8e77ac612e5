"""An agent that somebody else trained, taken as an expert."""

from __future__ import annotations

from pathlib import Path

from cdred.envs.tasks import find
from cdred.errors import CdredError
from cdred.learning.agent import Agent


def load_expert(root: Path, task: str, obs: str, name: str, revision: str | None) -> Agent:
    """The agent in the directory `name`, or of the Hub's model `name` at `revision`.

    Raises CdredError when there is none, or it was not made for this task and observation mode.
    """
    local = (root / name).is_dir()
    if not local and revision is None:
        raise CdredError(
            f"checkpoint {name}: no such directory; for a model on the Hub name its `revision` as "
            f"well, as its main branch may move"
        )
    try:
        agent = Agent.from_pretrained(root / name if local else name, revision=revision)
    except Exception as exc:  # of whatever library reads or fetches it
        said = " ".join(str(exc).split())[:150]
        raise CdredError(f"checkpoint {name}: cannot be loaded: {said}") from None
    spec = find(task)
    for what, has, wanted in (
        ("observations", agent.obs, obs),
        ("action_dim", agent.action_dim, spec.action_dim),
        ("obs_dim", agent.obs_shape[0] if agent.obs == "state" else None,
         spec.obs_dim if obs == "state" else None),
    ):  # fmt: skip
        if has != wanted:
            raise CdredError(
                f"checkpoint {name}: does not fit {task}: {what} {has}, the task's are {wanted}"
            )
    agent.task, agent.method = task, "expert"
    return agent.eval()
