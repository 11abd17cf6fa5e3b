"""Image files, their pixel sizes and data bars, the files of a labelled folder, and atomic writes."""
