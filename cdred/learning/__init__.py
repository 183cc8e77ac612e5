"""The learner: networks, replay, updates, planning and training, whatever the method."""
