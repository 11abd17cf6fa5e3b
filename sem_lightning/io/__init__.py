"""Image files, pixel sizes, data bars, the files of a labelled folder, and atomic writes."""
