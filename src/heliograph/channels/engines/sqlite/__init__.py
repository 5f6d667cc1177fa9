"""`sqlite:///path`: the log in a file that all instances of a machine share.

`engine.py` is for greenlets; `worker.py` is the one native thread of the process that owns the connection and the socket for
wake-ups; `store.py` says what is done in the file, `file.py` whether it is still the file that we left, `wakeups.py` how instances
tell each other.
"""
