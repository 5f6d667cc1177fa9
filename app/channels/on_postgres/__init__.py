"""`postgresql://…`: the log in a PostgreSQL database, for instances on several machines.

`database.py` makes connections, `store.py` appends groups, `reading.py` and `sharing.py` do the rest, `ear.py` listens, `link.py`
holds all of them, `engine.py` is what greenlets use. psycopg waits cooperatively because the process is patched; nothing here needs
a thread.
"""
