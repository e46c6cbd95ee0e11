"""The only client-side sockets and TLS: connections, player, transcript, probe."""
