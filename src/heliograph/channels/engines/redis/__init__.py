"""`redis://…`: the log on a Redis (6.2 or newer) or Valkey server, for instances on several machines.

`schema.py` has the keys and the scripts that run in the server, `pipeline.py` is a connection for commands (one for appends, one
for queries), `listener.py` the one for notifications, `pool.py` holds the three and supervises them, `engine.py` is what greenlets
use. A cluster is not supported: the table of channels is one key, so that it is lost as a whole or not at all.
"""
