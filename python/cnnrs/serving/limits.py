"""`Limits`: how much, how many and how long a server takes."""

from __future__ import annotations

from dataclasses import dataclass

from cnnrs.base.arguments import integer, number

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """What keeps a server up, whatever it is sent.

    Attributes:
        max_bytes: Bytes of a request; more is answered by 413.
        max_images: Images of a request; more is answered by 413.
        max_pixels: Pixels of an image, as its file declares them; more is answered by 413.
        read_seconds: Seconds in which a request must have come; else the answer is 408. A connection that
            sends no request for so long is closed.
        answer_seconds: Seconds in which an answer must be there; else it is 504.
        queue: Images that wait; a request that finds the queue full is answered by 503.
        max_batch: Images that are computed at once.
        wait_seconds: Seconds that an image waits for others, where the network has nothing to do.
        stop_seconds: Seconds that a server that is asked to stop has for what it has begun.

    Raises:
        ValueError: A limit is none.
    """

    max_bytes: int = 10 * 1024 * 1024
    max_images: int = 64
    max_pixels: int = 50_000_000
    read_seconds: float = 10.0
    answer_seconds: float = 30.0
    queue: int = 256
    max_batch: int = 32
    wait_seconds: float = 0.002
    stop_seconds: float = 30.0

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_images", "max_pixels", "queue", "max_batch"):
            integer(getattr(self, name), "Limits", name, least=1)
        for name in ("read_seconds", "answer_seconds", "stop_seconds"):
            number(getattr(self, name), "Limits", name, above=0)
        number(self.wait_seconds, "Limits", "wait_seconds", least=0)
