"""`postgresql://…`: the log in a PostgreSQL database, for instances on several machines.

`database.py` makes connections, `committer.py` gathers appends and `store.py` writes them as groups, `reading.py` and `sharing.py`
do the rest, `ear.py` listens, `link.py` holds all of them, `engine.py` is what greenlets use. psycopg waits cooperatively because
the process is patched; nothing here needs a thread.
"""
