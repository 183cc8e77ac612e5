"""What stages import, for the process that tests/killing.py forks them from; torch first."""
# ruff: noqa: F401, I001

import torch._dynamo

import cdred.demos
import cdred.evaluation
import cdred.learning.training
import cdred.stages
import minari
from cdred.envs import make

make("cartpole-balance").close()  # loads the simulator as a stage does
