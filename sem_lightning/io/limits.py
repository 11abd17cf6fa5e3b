"""What one image file may cost, and the error of a file that costs more or cannot be decoded."""

MAX_PIXELS = 1 << 28  # 16,384 x 16,384; 1 GiB as float32
MAX_SIDE = 1 << 20  # pixels; OpenCV's limit
MAX_BYTES = 768 << 20  # of a file
MAX_MEMORY = 1.5e9  # bytes, while a file is read


class CannotDecodeError(Exception):
    """The content of a file is no image that can be read. The message says why, and does not name the file."""


class TooLargeError(CannotDecodeError):
    """An image that would cost more than is allowed."""


def check_sides(width: int, height: int, most_pixels: int = MAX_PIXELS) -> None:
    """Check the sides that a header promises, before anything is decoded.

    Raises:
        CannotDecodeError: No pixels.
        TooLargeError: Too many.
    """
    if min(width, height) < 1:
        raise CannotDecodeError(f"{width} x {height} pixels, expected at least one")
    if height * width > most_pixels or max(width, height) > MAX_SIDE:
        limit = f"{most_pixels} in all" if height * width > most_pixels else f"{MAX_SIDE} along a side"
        raise TooLargeError(f"{width} x {height} pixels, more than {limit}; cut it into parts or scale it down")


def check_memory(width: int, height: int, needed: float) -> None:
    """Check the memory that decoding will take.

    Args:
        width: Pixels, as in the message.
        height: Pixels.
        needed: Bytes in use at the same time.

    Raises:
        TooLargeError: More than `MAX_MEMORY`.
    """
    if needed > MAX_MEMORY:
        raise TooLargeError(
            f"{width} x {height} pixels need {needed / 1e9:.1f} GB of memory to decode, more than "
            f"{MAX_MEMORY / 1e9:.1f}; cut it into parts, scale it down, or save it with fewer bits"
        )
