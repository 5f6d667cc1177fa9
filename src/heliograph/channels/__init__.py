"""Channels: publish and subscribe with a history that a subscriber can resume from.

The log of a channel is the truth; notifications only say that it grew. `log.py` is the interface, `engines.py` opens an engine for
a URL, and each engine has a file or folder of its own.

Above the log: `hub` has an `audience` for each channel that is followed here; `catching_up` brings a subscriber from its cursor to
the live stream, by `pages` of the history; `events` are what subscribers are told, in the `forms` of each transport. `streams`
(server-sent events), `sockets` with `publisher` (WebSockets) and `views` (HTTP) are the transports; `posts` are messages as clients
send them; `grants` and `access` say who may; `roster` tells other instances who is there; `service` is all of it for one
application.

Files without I/O: cursor, errors, events, grants, jsontext, location, message, names, plan, position, presence, rates, rendering,
segment, start, tail.
"""
