"""What a user runs: one short module for each command, and the only place that knows Hydra."""
