"""IQ-Learn with a soft actor-critic (arXiv 2106.12142): inverse soft Q learning without a model."""
