"""What a session may know of the channel below it: data that the transport hands over, no TLS object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Channel:
    """``bindings``: channel binding type → data (RFC 5929, RFC 9266); ``identity``: the user whom the client's
    certificate names, verified by TLS (RFC 4422 appendix A). ``unchecked``: checks that a fault leaves out."""

    secure: bool = False
    bindings: Mapping[str, bytes] = field(default_factory=dict)
    identity: str = ""
    unchecked: frozenset[str] = frozenset()

    def checks(self, name: str) -> bool:
        return name not in self.unchecked
