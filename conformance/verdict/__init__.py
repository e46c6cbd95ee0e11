"""From expectation and what came back to a verdict with its reason."""
