"""WebSockets: gevent-websocket's handler and environ contract outside, `websockets`' Sans-I/O protocol inside.

Pure: `head`, `handshake`, `frames`, `masking`, `fragments`, `deflate`, `referee`, `inbound` (bytes of a client to messages).
I/O: `pings` (the timer wheel); `outbox`, `outgoing`, `heartbeat`, `connection`: one WebSocket; `broadcast`: one message to many.
Interfaces: `socket` is what views see; `handler` (on `strict`, the HTTP before it) puts it into the environ under our own worker
and pywsgi, `adapters` under other servers; `worker` is Gunicorn's worker; `routing` makes views; `goodbye` ends all of them.
"""
