"""The bundled reference server, its storage, and its named faults."""
