"""The machine and what runs on it: devices, containers, clusters, progress, sensors."""
