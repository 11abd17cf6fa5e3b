"""The schema of every config group, and composing them with Hydra."""
