"""Sans-IO grammar of replies and commands, as data."""
