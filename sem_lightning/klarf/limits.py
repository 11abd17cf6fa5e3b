"""What one KLARF file may cost."""

MAX_BYTES = 128 << 20  # of a file
MAX_DEFECTS = 1_000_000
MAX_COLUMNS = 1000
MAX_DEPTH = 32  # records within each other
MAX_WAFERS = 10_000
MAX_CLASSES = 100_000  # of a ClassLookup table
MAX_NAME = 4096  # bytes of a file's name
LARGEST_CLASS = 2**31 - 1  # class numbers are int32
