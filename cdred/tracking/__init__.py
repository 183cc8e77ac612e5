"""MLflow: a spool that stages write, its delivery, and the model registry."""
