"""It has no settings beside the shared ones, and of these none of a world model."""

from __future__ import annotations

from cdred.learning.settings import Settings


class CloningSettings(Settings):
    """Those of encoder, policy and updates."""
