"""HTTP/1.1 as bytes: heads of requests and responses, and the framing of bodies. Pure.

`grammar` has what both kinds of heads share, `requests` and `responses` have the policies, `framing` the
bodies.
"""
