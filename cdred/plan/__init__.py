"""The plan of an experiment: its jobs, where they are, what they are made of, what is stale."""

from cdred.plan.jobs import Job, Plan, Training
from cdred.plan.paths import ENTRY_OPTION, STAGES, log_path, output_path

__all__ = ["ENTRY_OPTION", "STAGES", "Job", "Plan", "Training", "log_path", "output_path"]
