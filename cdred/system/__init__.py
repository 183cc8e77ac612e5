"""The machine that jobs run on, and what processes on it share."""
