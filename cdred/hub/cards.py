"""Cards: the README of a published repository, with results in the Hub's model index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cdred import methods
from cdred.envs.tasks import find
from cdred.learning import results
from cdred.learning.display import display_of
from cdred.learning.results import Results
from cdred.plan import Job, Plan
from cdred.report.rows import read_demonstrations
from cdred.report.statistics import bootstrap_interval

PAPER = (
    "[Coupled Distributional Random Expert Distillation for World Model Online Imitation Learning]"
    "(https://arxiv.org/abs/2505.02228)"
)


def card(plan: Plan, job: Job, publication: dict[str, Any], folder: Path) -> str:
    """The card of the repository written to `folder`."""
    if job.stage == "demos":
        return _dataset(plan, job, publication, folder)
    return _model(plan, job, publication, folder)


def metrics(evaluation: Results) -> dict[str, float]:
    """The metrics of an evaluation, by the names of the model index."""
    returns = evaluation.returns
    low, high = bootstrap_interval([returns])
    values = {
        "mean_return": float(np.mean(returns)), "mean_return_95_low": low,
        "mean_return_95_high": high, "episodes": float(len(returns)),
    }  # fmt: skip
    known = evaluation.successes
    return values | ({"success_rate": float(np.mean(known))} if known else {})


def _model(plan: Plan, job: Job, publication: dict[str, Any], folder: Path) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    spec = find(job.task)
    evaluation = results.read(folder)
    method, measured = evaluation.method, metrics(evaluation)
    names = {
        "mean_return": "mean return", "mean_return_95_low": "mean return, 95 % interval, low",
        "mean_return_95_high": "mean return, 95 % interval, high", "episodes": "episodes",
        "success_rate": "success rate",
    }  # fmt: skip
    repository = publication["repository"]
    demonstrations = publication["links"].get("demonstrations", "")
    data = ModelCardData(
        license=plan.config.hub.license, library_name="cdred",
        pipeline_tag="reinforcement-learning", tags=_tags(job, method),
        model_name=repository.split("/")[1],
        datasets=[demonstrations.split("/datasets/")[1]] if demonstrations else None,
        eval_results=[
            EvalResult(
                task_type="reinforcement-learning", task_name="reinforcement learning",
                dataset_type=job.task, dataset_name=f"{job.task} ({spec.suite})",
                metric_type=key, metric_name=names[key], metric_value=round(value, 4),
            )
            for key, value in measured.items()
        ],
    )  # fmt: skip
    interval = _interval(measured["mean_return_95_low"], measured["mean_return_95_high"])
    summary = display_of(methods.find(method)).summary
    success = f", success {measured['success_rate']:.0%}" if "success_rate" in measured else ""
    film = "[A film of its median episode](video.mp4)." if (folder / "video.mp4").exists() else ""
    return f"""---
{data.to_yaml()}
---

# {repository.split("/")[1]}

An agent for **{job.task}** ({spec.suite}): {summary}. {PAPER}.

Mean return {measured["mean_return"]:.1f} over {measured["episodes"]:.0f} seeded episodes{success}
({interval}). Each episode with its seed
is in [evaluation.json](evaluation.json). {film}

```python
from cdred import Agent, film

agent = Agent.from_pretrained("{repository}", revision="{publication["release"]}")
episode = film(agent, seed=0, path="episode.mp4")
print(episode.episode_return)
```

`cdred evaluate --checkpoint {repository}@{publication["release"]}` plays the episodes of its
evaluation again and compares them with the numbers above.

{_provenance(publication)}{_figures(folder, job)}"""


def _dataset(plan: Plan, job: Job, publication: dict[str, Any], folder: Path) -> str:
    from huggingface_hub import DatasetCardData

    spec = find(job.task)
    returns = [episode.episode_return for episode in read_demonstrations(folder)]
    repository, release = publication["repository"], publication["release"]
    data = DatasetCardData(
        license=plan.config.hub.license, task_categories=["reinforcement-learning"],
        tags=["minari", *_tags(job, "demonstrations")], pretty_name=repository.split("/")[1],
    )  # fmt: skip
    obs = plan.config.demos[job.entry].obs
    return f"""---
{data.to_yaml()}
---

# {repository.split("/")[1]}

{len(returns)} demonstrations of **{job.task}** ({spec.suite}): full episodes with {obs}
observations as a [Minari](https://minari.farama.org) dataset, for imitation without rewards.
{PAPER}.

{_returns(returns)}
Each episode with its seed is in [episodes.csv](episodes.csv).

```python
from cdred import pull
from minari import MinariDataset

dataset = MinariDataset(pull("{repository}", "dataset", "{release}").folder / "data")
```

{_provenance(publication)}{_figures(folder, job)}"""


def _returns(returns: list[float | None]) -> str:
    known = [value for value in returns if value is not None]
    if len(known) < len(returns):
        return "Their returns are unknown, as rewards were not recorded."
    mean = f"Mean return {np.mean(known):.1f} ({_interval(*bootstrap_interval([known]))})"
    return f"{mean}, from {min(known):.1f} to\n{max(known):.1f}."


def _interval(low: float, high: float) -> str:
    return f"95 % interval of the mean {low:.1f} to {high:.1f}"


def _tags(job: Job, method: str) -> list[str]:
    tags = [
        "imitation-learning",
        "reinforcement-learning",
        "world-model",
        "cdred",
        "arxiv:2505.02228",
    ]
    return list(dict.fromkeys([*tags, method, find(job.task).suite, job.task]))


def _provenance(publication: dict[str, Any]) -> str:
    links = "".join(f"- {name}: {url}\n" for name, url in publication["links"].items())
    return f"""## Where it comes from

`{publication["artifact"]}` of the experiment `{publication["experiment"]}`, digest
`{publication["digest"][:12]}`. With this params.yaml and requirements.lock, in a checkout of cdred:

```
{publication["command"]}
```

[manifest.json](manifest.json) has the hash of every file, the settings, code and packages that made
it; [lineage](lineage) those of all that it was made from; [publication.json](publication.json) the
hash of every file here.

{links}"""


def _figures(folder: Path, job: Job) -> str:
    """The task's learning curves and the agent's own figures; the others are linked by nothing."""
    files = [f.name for f in sorted(folder.glob("figures/*.svg"))]
    own = f"--{job.task}--{job.entry}.svg"
    own_files = [n for n in files if n == f"learning_curves--{job.task}.svg" or n.endswith(own)]
    if not own_files:
        return ""
    lines = "\n".join(f"![{n.removesuffix('.svg').split('--')[0]}](figures/{n})" for n in own_files)
    return f"\n## Of the experiment's report\n\n{lines}\n"
