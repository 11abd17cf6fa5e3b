"""What one request, and all of them together, may cost a service."""

from dataclasses import dataclass

from sem_lightning.checks import between
from sem_lightning.io.limits import MAX_BYTES, MAX_PIXELS

MEGA = 1_000_000


@dataclass
class ServiceLimits:
    """Limits of ``sem-serve``.

    Attributes:
        request_mb: Size of a request's body, in millions of bytes.
        held_mb: Bodies of all requests that are held at once, in millions of bytes.
        megapixels: Pixels of an image, in millions.
        images: Images of a request, references included.
        queue: Images that wait for the classifier.
        seconds: From the first byte of a request's body to its answer.
        connections: Open connections.
    """

    request_mb: float = 32.0
    held_mb: float = 256.0
    megapixels: float = 16.0
    images: int = 32
    queue: int = 64
    seconds: float = 10.0
    connections: int = 256

    def __post_init__(self) -> None:
        between("request_mb", self.request_mb, 0.001, MAX_BYTES / MEGA, "MB")
        between("held_mb", self.held_mb, self.request_mb, 1_000_000, "MB, request_mb at least")
        between("megapixels", self.megapixels, 0.001, MAX_PIXELS / MEGA, "million pixels")
        between("images", self.images, 1, 10_000)
        between("queue", self.queue, self.images, 100_000, "images, limits.images at least")
        between("seconds", self.seconds, 0.1, 3600, "seconds")
        between("connections", self.connections, 1, 100_000)

    @property
    def request_bytes(self) -> int:
        """Largest body of a request, bytes."""
        return round(self.request_mb * MEGA)

    @property
    def held_bytes(self) -> int:
        """All bodies together, bytes."""
        return round(self.held_mb * MEGA)

    @property
    def pixels(self) -> int:
        """Largest image, pixels."""
        return round(self.megapixels * MEGA)
