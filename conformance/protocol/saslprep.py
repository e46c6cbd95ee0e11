"""SASLprep, RFC 4013: how user names and passwords are prepared before they are compared."""

from __future__ import annotations

import stringprep
import unicodedata
from collections.abc import Callable

_PROHIBITED: tuple[Callable[[str], bool], ...] = (
    stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
    stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
    stringprep.in_table_c9,
)  # fmt: skip


def saslprep(text: str) -> str:
    """RFC 4013 for a query string (unassigned code points are allowed). ValueError if it is prohibited."""
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )
    ready = unicodedata.normalize("NFKC", mapped)
    if any(test(char) for char in ready for test in _PROHIBITED):
        raise ValueError("a prohibited character")
    if any(map(stringprep.in_table_d1, ready)) and (  # RFC 3454 section 6: text from right to left
        any(map(stringprep.in_table_d2, ready))
        or not (stringprep.in_table_d1(ready[0]) and stringprep.in_table_d1(ready[-1]))
    ):
        raise ValueError("text of mixed direction")
    if text and not ready:
        raise ValueError("nothing is left of it")
    return ready
