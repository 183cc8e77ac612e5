"""cdred: reproduce, check and extend CDRED (arXiv 2505.02228) as a DAG of cached stages.

In Python: `load_agent(name)` or `train(task, method, demonstrations)` gives an `Agent`,
`evaluate(agent)` plays it, `film(agent)` films it, `make(task)` is its environment.
"""

import importlib
from typing import Any

__version__ = "0.2.0.dev0"
# Lazy: `import cdred` must stay light, since both engines import parts of it without torch.
_PUBLIC = {
    "Agent": "cdred.hub.agent",
    "evaluate": "cdred.api",
    "film": "cdred.api",
    "film_episode": "cdred.evaluation",  # its name in cards of version 0.1
    "load_agent": "cdred.hub.agent",
    "make": "cdred.envs.make",
    "pull": "cdred.hub.pull",
    "train": "cdred.api",
}
__all__ = ["Agent", "evaluate", "film", "film_episode", "load_agent", "make", "pull", "train"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
