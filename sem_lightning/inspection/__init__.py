"""Compares an image with a reference of the same place, and finds the places where they differ."""
