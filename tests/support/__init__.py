"""Shared by tests: projects, engines, stand-ins. Tests import from here, never each other."""
