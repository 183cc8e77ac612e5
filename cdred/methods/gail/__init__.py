"""Generative adversarial imitation learning (GAIL, arXiv 1606.03476) in the latent space."""
