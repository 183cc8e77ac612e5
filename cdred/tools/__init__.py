"""Tools beside the stages: benchmark, cost, estimate, tables of tasks and of results."""
