"""UTF-8 and languages of the POP3 server: RFC 6856 sections 2 and 3. No I/O."""

from __future__ import annotations

import re

from conformance.protocol.saslprep import saslprep

__all__ = ["LANGUAGES", "needs_utf8", "saslprep", "selected", "translated"]
LANGUAGES = {"en": "English", "de": "Deutsch"}  # tag → description; the first one is the preferred one
# English → German; # stands for a number.
_GERMAN = {
    "no such command": "unbekannter Befehl",
    "the line is too long": "die Zeile ist zu lang",
    "the argument is not UTF-8": "das Argument ist kein UTF-8",
    "control characters have no place in a command": "Steuerzeichen gehören nicht in einen Befehl",
    "wrong number of arguments": "falsche Anzahl von Argumenten",
    "this state does not allow it": "in diesem Zustand nicht erlaubt",
    "capabilities follow": "es folgen die Fähigkeiten",
    "now the password": "jetzt das Passwort",
    "USER first": "erst USER",
    "a prohibited character": "ein unzulässiges Zeichen",
    "[AUTH] wrong name or password": "[AUTH] Name oder Passwort sind falsch",
    "[AUTH] wrong name or digest": "[AUTH] Name oder Prüfsumme sind falsch",
    "[AUTH] wrong credentials": "[AUTH] die Anmeldedaten sind falsch",
    "[IN-USE] another session has this mailbox": "[IN-USE] eine andere Sitzung hat dieses Postfach",
    "[UTF8] the header needs UTF-8 mode": "[UTF8] der Kopf braucht den UTF-8-Modus",
    "TLS is on already": "TLS läuft schon",
    "begin TLS": "TLS kann beginnen",
    "mechanisms follow": "es folgen die Mechanismen",
    "no such mechanism": "unbekannter Mechanismus",
    "the response is too long": "die Antwort ist zu lang",
    "cancelled": "abgebrochen",
    "not base64": "kein Base64",
    "# messages": "# Nachrichten",
    "a message number is wanted": "es fehlt eine Nummer",
    "no such message": "diese Nachricht gibt es nicht",
    "scan listing follows": "es folgt die Liste",
    "unique ids follow": "es folgen die Kennungen",
    "languages follow": "es folgen die Sprachen",
    "no such language": "diese Sprache gibt es nicht",
    "# octets": "# Oktette",
    "a number of lines is wanted": "es fehlt eine Zahl von Zeilen",
    "top of message follows": "es folgt der Anfang der Nachricht",
    "message # deleted": "Nachricht # ist gelöscht",
    "goodbye": "auf Wiedersehen",
    "UTF-8 mode": "UTF-8-Modus",
    "texts are in this language": "die Texte sind in dieser Sprache",
    "done": "erledigt",
}


def translated(text: str, language: str) -> str:
    """The text in a language of LANGUAGES; what has no translation stays as it is."""
    if language != "de":
        return text
    number = re.search("[0-9]+", text)
    if number is None or text in _GERMAN:
        return _GERMAN.get(text, text)
    found = _GERMAN.get(text.replace(number[0], "#", 1))
    return text if found is None else found.replace("#", number[0])


def selected(wanted: str) -> str | None:
    """The tag that a basic language range stands for: RFC 6856 section 3.2, RFC 4647 section 3.3.1."""
    if wanted == "*":
        return next(iter(LANGUAGES))
    low = wanted.lower()
    return next((tag for tag in LANGUAGES if tag.lower() == low or tag.lower().startswith(low + "-")), None)


def needs_utf8(octets: bytes) -> bool:
    """The header holds octets beyond ASCII: RFC 6856 section 2.1. A body in eight bits is older than UTF-8 mode."""
    return not octets.partition(b"\r\n\r\n")[0].isascii()
