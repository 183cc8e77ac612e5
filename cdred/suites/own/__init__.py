"""Tasks that are not part of this package: functions that return a Gymnasium environment."""
