"""The load balancer: strict HTTP/1.1 in, one clean request out, and an answer or a problem for every client.

Pure modules take bytes, settings and the time as arguments: errors, values, settings, http1, framing,
headers, backends, strategies, retry, metrics. The others do input and output on gevent, whose modules are
used by name; nothing is monkey-patched.
"""
