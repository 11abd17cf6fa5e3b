"""The classifier at work: an HTTP service, and a watcher of a folder."""
