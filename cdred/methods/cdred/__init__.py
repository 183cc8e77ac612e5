"""Coupled distributional random expert distillation: CDRED (arXiv 2505.02228)."""
