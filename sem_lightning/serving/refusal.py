"""Why a request is refused."""


class RefusedError(Exception):
    """A request that gets no answer.

    Attributes:
        status: The HTTP status: 4xx if the request, 5xx if the service is the reason.
        reason: One line for the client.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
