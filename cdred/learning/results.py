"""The results of an evaluation as `evaluation.json` holds them, read from anybody's file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, Field

from cdred import documents, manifest
from cdred.documents import Document, Seed
from cdred.errors import CdredError
from cdred.learning import registry

FILE, VIDEO = manifest.EVALUATION, manifest.VIDEO
WORST = "worst.mp4"  # the film of the episode with the least return


class EpisodeResult(Document):
    """One episode; success of its last state, and of any, is None where the suite does not know it.

    Versions before 0.2 wrote that of any alone, as `success`.
    """

    episode_return: float = Field(alias="return")
    success_at_end: bool | None = None
    success_once: bool | None = Field(validation_alias=AliasChoices("success_once", "success"))
    length: Annotated[int, Field(ge=1, le=10**9)]
    seed: Seed


class Results(Document):
    """Raw results per episode, and their mean."""

    task: Annotated[str, Field(max_length=200)]
    method: Annotated[str, Field(max_length=200)]
    return_mean: float
    episodes: Annotated[list[EpisodeResult], Field(min_length=1, max_length=100_000)]
    filmed: Annotated[int, Field(ge=0)] = 0  # index of an episode; versions before 0.2: the first

    @property
    def returns(self) -> list[float]:
        return [e.episode_return for e in self.episodes]

    @property
    def successes(self) -> list[bool]:
        """Those of the last state, of the episodes of which it is known."""
        return [e.success_at_end for e in self.episodes if e.success_at_end is not None]

    @property
    def successes_once(self) -> list[bool]:
        """Those of any state."""
        return [e.success_once for e in self.episodes if e.success_once is not None]


def read(directory: Path) -> Results:
    """The results in a directory. Raises CdredError when they are missing or malformed,
    or of a method that is not known here."""
    return check(documents.read_json(directory / FILE), str(directory / FILE))


def check(content: Any, where: str) -> Results:
    """As `read`, of what was read from a file."""
    results = documents.check(Results, content, where)
    if results.filmed >= len(results.episodes):
        raise CdredError(f"{where}: filmed: {results.filmed}, of {len(results.episodes)} episodes")
    try:
        registry.of_saved(results.method)
    except CdredError as exc:
        raise CdredError(f"{where}: {exc}") from None
    return results
