"""How much each client has of something that has a bound. Pure."""

from __future__ import annotations


class ClientCounts:
    """A client that has nothing is not remembered."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def of(self, client: str) -> int:
        return self._counts.get(client, 0)

    def add(self, client: str, count: int = 1) -> None:
        self._counts[client] = self._counts.get(client, 0) + count

    def remove(self, client: str, count: int = 1) -> None:
        left = self._counts[client] - count
        if left:
            self._counts[client] = left
        else:
            del self._counts[client]
