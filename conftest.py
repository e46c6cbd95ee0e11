"""Bare ``pytest`` in a checkout runs the scenarios; this loads the plugin where the package is not installed."""

from importlib.metadata import entry_points

if not any(point.value == "conformance.plugin" for point in entry_points(group="pytest11")):
    pytest_plugins = ["conformance.plugin"]
