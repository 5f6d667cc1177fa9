"""`redis://…`: the log on a Redis (6.2 or newer) or Valkey server, for instances on several machines.

`scripts.py` is what happens in the server, `line.py` a connection for commands (one publishes, one asks), `ear.py` the one for
notifications, `link.py` holds them, `engine.py` is what greenlets use. A cluster is not supported: the table of channels is one
key, so that it is lost as a whole or not at all.
"""
