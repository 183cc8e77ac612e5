"""The environment's reward, learned: TD-MPC2, which trains experts."""
