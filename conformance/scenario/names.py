"""The names that have a value in every scenario, and what each asks of the target."""

from __future__ import annotations

# name → the need that it infers ("" for none)
BASE_NAMES: dict[str, str] = {
    "client": "", "sender": "", "token": "", "host": "", "banner": "", "case": "",
    "code": "", "text": "", "reply": "", "body": "", "raw": "", "elapsed": "",
    "recipient": "recipient", "second_recipient": "second_recipient",
    "unknown_recipient": "unknown_recipient", "relay_recipient": "relay_recipient", "domain": "domain",
    "user": "account", "password": "account", "address": "account",
    "bearer": "bearer",
    "user2": "accounts 2", "password2": "accounts 2", "address2": "accounts 2",
}  # fmt: skip
