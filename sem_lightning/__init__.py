"""Simulate labelled SEM images of semiconductor patterns, learn to find their defects, and report it honestly."""

__version__ = "0.1.0"
