"""Inverse soft Q learning: IQ-MPC (arXiv 2410.14081), and IQ-Learn without a model."""
