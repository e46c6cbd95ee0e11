"""A conformance test suite for mail servers: SMTP, ESMTP, LMTP and POP3."""

__version__ = "0.1.0"
