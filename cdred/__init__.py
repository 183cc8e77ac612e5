"""cdred: reproduce, check and extend CDRED (arXiv 2505.02228) as a DAG of cached stages."""

import importlib
from typing import Any

__version__ = "0.1.0"
# Lazy: `import cdred` must stay light, since both engines import parts of it without torch.
_PUBLIC = {
    "Agent": "cdred.hub.agent",
    "film_episode": "cdred.evaluation",
    "load_agent": "cdred.hub.agent",
    "pull": "cdred.hub.pull",
}
__all__ = ["Agent", "film_episode", "load_agent", "pull"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
