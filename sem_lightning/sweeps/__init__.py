"""Sweeps: many trainings in one folder, identified by their settings, and their joint report."""
