"""cdred: reproduce, check and extend CDRED (arXiv 2505.02228) as a DAG of cached stages."""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Agent"]


def __getattr__(name: str) -> Any:
    # Lazy: `import cdred` must stay light, since both engines import parts of it without torch.
    if name == "Agent":
        from cdred.learning.agent import Agent

        return Agent
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
