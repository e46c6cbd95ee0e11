"""pytest-xdist: scenarios are sharded over the workers, each plays its shard overlapped; accounts are shared by lock files."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from conformance import interrupts

if TYPE_CHECKING:
    from conformance.state import State


def shard(nodeid: str, count: int) -> int:
    """Stable over processes and machines."""
    return zlib.crc32(nodeid.encode()) % max(1, count)


class _Shards(LoadScopeScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        if ".yaml::" in nodeid:
            return f"conformance-{shard(nodeid, self.numnodes)}"
        return str(super()._split_scope(nodeid))


class Distribute:
    """Hooks that only exist where xdist is installed."""

    def __init__(self, state: State) -> None:
        self.state = state

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        return _Shards(config, log) if config.getoption("dist", "no") in ("load", "loadscope") else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionstart(self) -> Generator[None, None, None]:
        """Workers hear no interrupt: the controller does, and tells them."""
        with interrupts.held():
            yield

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        if not self.state.concerned:
            return
        from conformance.engine import Engine
        from conformance.state import options_of

        if self.state.folder is None:
            self.state.folder = tempfile.TemporaryDirectory(prefix="mail-conformance-")
            options = options_of(self.state.config)
            if not options["target"]:
                self.state.server = Engine(None, options, server=self.state.started)
                self.state.started = None
                self.state.server.serve()
        served = str(self.state.server.served) if self.state.server else ""
        node.workerinput["conformance"] = {"locks": self.state.folder.name, "target": served}
