"""cdred: reproduce, check and extend CDRED (arXiv 2505.02228) as a DAG of cached stages."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Agent", "film_episode", "pull"]


def __getattr__(name: str) -> Any:
    # Lazy: `import cdred` must stay light, since both engines import parts of it without torch.
    if name == "Agent":
        from cdred.learning.agent import Agent

        return Agent
    if name == "film_episode":
        from cdred.evaluation import film_episode

        return film_episode
    if name == "pull":
        from cdred.hub.pull import pull

        return pull
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
