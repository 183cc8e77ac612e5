"""The figures of the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cdred.report import aggregate_figures, score_figures, training_figures
from cdred.report.colours import colours
from cdred.report.svg import Panel

if TYPE_CHECKING:
    from cdred.report.rows import Data


@dataclass(frozen=True)
class Figures:
    """Panels by task, or by task and run; an experiment may lack some of them."""

    overall: list[Panel]  # over all tasks and seeds
    curves: dict[str, Panel]
    demonstrations: dict[str, Panel]
    demonstrated: dict[tuple[str, str], Panel]  # by task and demonstrations
    episodes: dict[str, Panel]
    diagnostics: dict[tuple[str, str], list[Panel]]
    gradients: dict[str, list[Panel]]
    losses: dict[str, list[Panel]]

    @property
    def panels(self) -> list[Panel]:
        groups = (self.diagnostics, self.gradients, self.losses)
        return [
            *self.overall,
            *self.curves.values(),
            *self.demonstrations.values(),
            *self.demonstrated.values(),
            *self.episodes.values(),
            *(p for group in groups for ps in group.values() for p in ps),
        ]

    def overview(self) -> Figures:
        """The panels for comparing tasks."""
        return Figures(self.overall, self.curves, self.demonstrations, {}, {}, {}, {}, {})

    def only(self, task: str) -> Figures:
        """The panels of one task."""
        return Figures(
            [], {task: self.curves[task]},
            {key: panel for key, panel in self.demonstrations.items() if key == task},
            {key: panel for key, panel in self.demonstrated.items() if key[0] == task},
            {task: self.episodes[task]},
            {key: panels for key, panels in self.diagnostics.items() if key[0] == task},
            {task: self.gradients[task]}, {task: self.losses[task]},
        )  # fmt: skip


def make(data: Data) -> Figures:
    by_demonstrations = {task: score_figures.by_demonstrations(data, task) for task in data.tasks}
    return Figures(
        aggregate_figures.make(data, colours(data)) if data.aggregates else [],
        {task: score_figures.learning_curves(data, task) for task in data.tasks},
        {task: panel for task, panel in by_demonstrations.items() if panel},
        {
            (task, name): panel
            for task in data.tasks
            for name, panel in score_figures.demonstrated(data, task).items()
        },
        {task: score_figures.episodes(data, task) for task in data.tasks},
        {
            (run["task"], run["run"]): training_figures.diagnostics(data, run)
            for run in data.runs
            if training_figures.has_rewards(data, run)
        },
        {task: training_figures.gradients(data, task) for task in data.tasks},
        {task: training_figures.losses(data, task) for task in data.tasks},
    )
