"""Support-weighted adversarial imitation learning: SAIL (arXiv 2002.08803)."""
