"""Running jobs: stages, their artifacts, resume states, verification and cleaning."""
