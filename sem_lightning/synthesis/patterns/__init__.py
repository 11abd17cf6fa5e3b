"""Patterns without defects, one kind in each module."""
