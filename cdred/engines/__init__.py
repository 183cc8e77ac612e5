"""The two front ends: what Snakemake and DVC are told about the plan."""
