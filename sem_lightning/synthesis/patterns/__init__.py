"""Patterns, one kind in each module: what the design should look like on the wafer, before any defect."""
