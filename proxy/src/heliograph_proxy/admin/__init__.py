"""The admin listener: the page for people, status, metrics, the live stream, and changes while the proxy runs.

Nothing here is on a request's way. Requests move counters (`metrics`, the backends) and add failures; this package
reads them. `control` has the changes, `views` what each path leads to, `remote` the command line's side.
"""
