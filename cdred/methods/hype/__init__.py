"""Hybrid inverse reinforcement learning: HyPE (arXiv 2402.08848)."""
