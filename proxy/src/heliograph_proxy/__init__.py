"""The load balancer: strict HTTP/1.1 in, one clean request out, and an answer or a problem for every client.

Pure modules take bytes, settings and the time as arguments: errors, values, settings, http1, headers,
backends, latency, strategies, retry, metrics. The others do input and output on gevent, whose modules are
used by name; nothing is monkey-patched.

A request's way: listener, session (a client's connection), exchange (one request), balancer (which backend,
or the waiting line), attempt (one try, on a connection from connections), relay (bodies) or tunnel (an
upgrade).
"""

from heliograph_proxy import compiled

#: Whether the compiled twin of the hot modules runs.
COMPILED = compiled.prefer(__path__)
