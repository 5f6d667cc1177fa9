"""Channels: publish and subscribe with a history that a subscriber can resume from.

The log of a channel is the truth; notifications only say that it grew. Each part imports only those below it:

    transports    HTTP, server-sent events, WebSockets; tokens and limits; the forms of a message
    service       what an application calls: one `ChannelService` for each
    live          the hub: subscribers of this process, catching up from a cursor, presence
    engines       the log in memory, SQLite, Redis or PostgreSQL; `engines/__init__.py` says what an engine implements
    log, records, location, message, presence, cursor, names, errors
                  what all of them share; `log` is the interface of the engines
"""
