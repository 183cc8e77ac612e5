"""Agents as users load them: from a folder, or from the Hugging Face Hub."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

from cdred.errors import CdredError
from cdred.hub.pull import pull
from cdred.learning import agent

_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")


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
        if revision is None and place.is_dir():
            return super().from_pretrained(place)
        if not _REPOSITORY.fullmatch(str(folder)):
            raise CdredError(f"{folder}: no such folder, nor a name on the Hub (NAMESPACE/NAME)")
        try:
            place = pull(str(folder), "model", revision).folder
        except CdredError as exc:
            here = "" if revision else "; nor is a folder of that name here"
            raise CdredError(f"{exc}{here}") from None
        return super().from_pretrained(place)


def load_agent(name: str | Path, revision: str | None = None) -> Agent:
    """The agent in a folder, or published on the Hub; see `Agent.from_pretrained`."""
    return Agent.from_pretrained(name, revision=revision)
