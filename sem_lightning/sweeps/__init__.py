"""Sweeps: many trainings in one folder, each known by its settings, and what they say together."""
