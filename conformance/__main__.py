"""``python -m conformance``, and the command ``mail-conformance``."""

import sys

from conformance import interrupts


def main() -> int:
    """The exit status. An interrupt during the imports is one, too."""
    interrupts.note()
    from conformance.cli import main as command

    status = command()
    if status == 130 or interrupts.asked():
        interrupts.deafen()  # an interrupt while the interpreter ends would change the status
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
