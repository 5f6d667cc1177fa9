"""`sqlite:///path`: the log in a file that all instances of a machine share.

`engine.py` is for greenlets. `worker.py` is the one native thread of the process that owns the connection, and does its
`maintenance.py` and `notifications.py`; `mailbox.py` is its way back to the event loop. `session.py` is an open file:
`connection.py` opens it and checks whether its epochs still hold, `transactions.py` are its writes and its errors, `store.py`
appends and trims, `reader.py` reads, `listener.py` tells other instances and is told by them.
"""
