"""Azure ML: the commands as jobs of a workspace, and a classifier at an endpoint."""
