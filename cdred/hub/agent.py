"""Agents as users load them: from a folder, or from the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from cdred.hub.pull import pull
from cdred.learning import agent


class Agent(agent.Agent):
    """An agent that may also be loaded by the name under which it was published."""

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, revision: str | None = None) -> Self:
        """The agent in a folder, or published on the Hub as `folder`, ready to act. With a
        `revision` (a commit, tag or branch) it is the Hub's, else the folder comes first.

        Of the Hub only what cdred published is loaded, after its hashes were checked. Raises
        CdredError when it is refused or cannot be had.
        """
        place = Path(folder)
        if revision is not None or not place.is_dir():
            place = pull(str(folder), "model", revision).folder
        return super().from_pretrained(place)


def load_agent(name: str | Path, revision: str | None = None) -> Agent:
    """The agent in a folder, or published on the Hub; see `Agent.from_pretrained`."""
    return Agent.from_pretrained(name, revision=revision)
