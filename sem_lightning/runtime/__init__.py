"""Runs the network of a classifier, with torch or without."""
