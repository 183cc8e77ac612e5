"""Demonstrations: which episodes they are, their dataset, and importers of other formats."""
