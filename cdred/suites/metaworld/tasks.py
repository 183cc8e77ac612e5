"""Meta-World's tasks. Standard library alone: the engines read it while they plan."""

from __future__ import annotations

from cdred.suites import Sizes, Suite, Task

# All 50 have these: 39 numbers observed (the goal among them), 4 acted on.
SIZES = Sizes(39, 4, episode_length=100)

_NAMES = """
assembly basketball bin-picking box-close button-press button-press-topdown
button-press-topdown-wall button-press-wall coffee-button coffee-pull coffee-push dial-turn
disassemble door-close door-lock door-open door-unlock drawer-close drawer-open faucet-close
faucet-open hammer hand-insert handle-press handle-press-side handle-pull handle-pull-side
lever-pull peg-insert-side peg-unplug-side pick-out-of-hole pick-place pick-place-wall plate-slide
plate-slide-back plate-slide-back-side plate-slide-side push push-back push-wall reach reach-wall
shelf-place soccer stick-pull stick-push sweep sweep-into window-close window-open
"""

SUITE = Suite(
    "Meta-World",
    "success",
    {
        f"mw-{name}": Task("metaworld", f"{name}-v3", "success", SIZES, scripted=True)
        for name in _NAMES.split()
    },
    packages=("metaworld",),
)
