"""WebSockets: gevent-websocket's handler and environ contract outside.

`handshake` and the close rules are pure; `socket` is one connection; `handler` puts it into the environ of a request; `worker` is
Gunicorn's worker with it; `routing` makes views of it.
"""
