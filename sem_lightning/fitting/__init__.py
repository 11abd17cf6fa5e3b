"""Estimates the simulator's settings from real images without labels."""
