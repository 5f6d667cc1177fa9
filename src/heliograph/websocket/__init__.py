"""WebSockets: gevent-websocket's handler and environ contract outside, `websockets`' Sans-I/O protocol inside.

Pure: `handshake`, `frames` (heads and the rules that they can break), `masking`, `fragments`, `deflate`, `protocol` (`websockets`'
fallback), `inbound` (bytes of a client to messages), `pings`, `timers`.
I/O: `connection` is one WebSocket, with its `sender`, `receiver` and `outbox`;
`registry`: all of a server; `broadcast`: one message to many.
Interfaces: `socket` is what views see, `routing` makes views.
"""
