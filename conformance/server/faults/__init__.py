"""Named faults: one switch, one realistic violation of one requirement.

Every module of this folder whose name has no ``_`` in front is found by itself, by its list ``FAULTS``; ``_tools.py`` has what they share. A fault is data and a small function::

    Fault("rcpt-before-mail-accepted", "rfc5321/4.1.4/rcpt-needs-mail", "RCPT before MAIL gets 250", "smtp",
          {"instead": lambda s, verb, rest: b"250 ok\\r\\n" if verb == "RCPT" and s.state != "rcpt" else None})

Hooks, each a function whose first argument is the session: ``received(s, octets)`` changes what comes in; ``command(s, line)`` rewrites a line before it is parsed, ``response(s, line)`` one of a SASL exchange;
``instead(s, verb, rest)`` answers in the server's place (None: it does not); ``reply(s, octets, verb)`` changes what is
sent; ``after(s, verb)`` changes state; ``states(s, allowed, verb)`` widens a row of the state table;
``capabilities(s, words)`` changes the EHLO or CAPA list; ``content(s, octets, sent)`` changes what is delivered (None: nothing is);
``ended(s, nothing)`` when the connection is gone; ``secured(s, kept)`` and ``clear_buffer(s, nothing, octets)`` around TLS;
notifications: ``notify(s, wanted, condition, recipient)`` ``whole(s, whole, mail, outcome)`` ``reports_to(s, path, mail, octets)``
``report(s, octets, mail, recipients)``; policy: ``priority ownership unwanted``; POP3: ``octets size stat uid top block update lock unlock vanished needs_utf8``.
The server as client (relay.py): ``client(s, octets, reply)`` changes what it sends after a reply; ``understood more judged`` how it
takes one; ``offered waiting domains undelivered kept notice`` what it knows and keeps.
``settings`` overrides fields of ``Settings``.
"""

from __future__ import annotations

import importlib
import pkgutil

from conformance.server.base import Fault

FAULTS: dict[str, Fault] = {}
for _module in sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_")):
    for _fault in importlib.import_module(f"{__name__}.{_module}").FAULTS:
        if _fault.name in FAULTS:
            raise ValueError(f"two faults are called {_fault.name!r}")
        FAULTS[_fault.name] = _fault
