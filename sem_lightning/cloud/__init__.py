"""Azure ML: the same commands as jobs of a workspace, and a classifier behind an endpoint."""
