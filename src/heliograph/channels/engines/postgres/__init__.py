"""`postgresql://…`: the log in a PostgreSQL database, for instances on several machines.

`connection.py` connects, `committer.py` gathers appends and `store.py` writes them in groups, `reader.py` reads, `listener.py`
waits for notifications, `pool.py` holds all connections and supervises them, `engine.py` is what greenlets use. psycopg waits
cooperatively because the process is patched; nothing here needs a thread.
"""
