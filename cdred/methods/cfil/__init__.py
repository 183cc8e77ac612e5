"""Coupled flow imitation learning: CFIL (arXiv 2305.00303), the paper's model-free baseline."""
