"""Meta-World (version 3), with the goal observed."""
