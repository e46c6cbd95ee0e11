"""Scenarios: model, language, loader, planner. Nothing here opens a socket."""
