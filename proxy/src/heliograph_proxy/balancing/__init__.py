"""Which backend gets a request: the backends and their health, the strategies, the queue for when all are full.

`balancer` is the only entrance for requests: it takes a slot in a backend, waits in the queue for one, and gives it
back. `health` checks the backends and tells the balancer. A new strategy is a class in `strategies`.
"""
