"""All tasks as Gymnasium's: `import cdred.gym`, then `gymnasium.make("cdred/cup-catch")`.

Or in one: `gymnasium.make("cdred.gym:cdred/cup-catch")`. Arguments are those of `cdred.make`.
"""

import gymnasium

from cdred.envs.tasks import names

for name in names():
    if f"cdred/{name}" not in gymnasium.registry:
        gymnasium.register(f"cdred/{name}", "cdred.envs.make:make", kwargs={"task": name})
