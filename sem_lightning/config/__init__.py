"""Schemas of the config groups, and composing configurations with Hydra."""
