"""Every option of Gunicorn: it works under our configuration, or stops the start with one line. None is accepted and ignored."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

_WORKING = (
    "config wsgi_app bind backlog workers worker_class worker_connections max_requests max_requests_jitter timeout "
    "graceful_timeout keepalive reload reload_engine reload_extra_files spew check_config print_config "
    "reuse_port chdir daemon raw_env pidfile worker_tmp_dir user group umask initgroups accesslog "
    "disable_redirect_access_to_syslog access_log_format errorlog loglevel capture_output logger_class logconfig "
    "logconfig_dict logconfig_json syslog_addr syslog syslog_prefix syslog_facility enable_stdio_inheritance "
    "statsd_host dogstatsd_tags statsd_prefix enable_backlog_metric proc_name default_proc_name pythonpath paste "
    "raw_paste_global_conf on_starting on_reload when_ready pre_fork post_fork post_worker_init worker_int "
    "worker_abort pre_exec child_exit worker_exit nworkers_changed on_exit ssl_context keyfile certfile "
    "cert_reqs ca_certs ciphers control_socket control_socket_mode "
    "control_socket_disable "
)

#: What works, as Gunicorn's documentation says.
WORKING = frozenset(_WORKING.split())

_HEAD = "the limits of a request's head are fixed: 8192 bytes for its line, 100 fields, 64 KiB in all"
_PROXY = "HELIOGRAPH_TRUSTED_PROXIES names the proxies that are believed"
_STRICT = "requests are read strictly, as at the proxy in front"
_HTTP1 = "an instance speaks HTTP/1.1; nginx in front speaks HTTP/2"
_ASGI = "an instance serves WSGI applications"
_DIRTY = "an instance has no dirty workers"
_HOOK = "the worker has no such hook; a WSGI middleware sees each request"

#: What does not, and what to do instead. Only another value than Gunicorn's default stops the start.
REFUSED = {
    "threads": "the worker answers all requests in greenlets of one thread",
    "preload_app": "each worker loads the application itself, since threads and connections do not survive a fork",
    "tmp_upload_dir": "HELIOGRAPH_SPOOL is the folder for bodies",
    "secure_scheme_headers": _PROXY,
    "forwarded_allow_ips": _PROXY,
    "forwarder_headers": _PROXY,
    "proxy_protocol": "the PROXY protocol is not read; a proxy in front sends X-Forwarded-For",
    "protocol": "an instance speaks HTTP",
    "http_protocols": _HTTP1,
    "http2_cleartext": _HTTP1,
    "root_path": "a proxy in front sends X-Forwarded-Prefix",
    "websocket_max_message_size": "HELIOGRAPH_WS_MAX_MESSAGE is the limit of a message",
    "dirty_apps": _DIRTY,
    "dirty_workers": _DIRTY,
    **dict.fromkeys(("limit_request_line", "limit_request_fields", "limit_request_field_size"), _HEAD),
    **dict.fromkeys(("pre_request", "post_request"), _HOOK),
    **dict.fromkeys(
        (
            *("permit_obsolete_folding", "strip_header_spaces", "permit_unconventional_http_method"),
            *("permit_unconventional_http_version", "casefold_http_method", "header_map", "http_parser"),
        ),
        _STRICT,
    ),
}

_HTTP2 = ("max_concurrent_streams", "initial_window_size", "max_frame_size", "max_header_list_size")

#: What only tunes something that an instance does not have. It is refused, too, so that nobody waits for its effect.
MEANINGLESS = {
    "sendfile": "the worker does not use sendfile; nginx in front serves files of HELIOGRAPH_STATIC",
    "ssl_version": "Gunicorn itself ignores it; the hook ssl_context sets the versions of TLS",
    "suppress_ragged_eofs": "the worker decides itself how a TLS connection ends",
    "do_handshake_on_connect": "the worker makes the handshake itself",
    "proxy_allow_ips": "the PROXY protocol is not read; a proxy in front sends X-Forwarded-For",
    "uwsgi_allow_ips": "an instance speaks HTTP",
    **dict.fromkeys((f"http2_{name}" for name in _HTTP2), _HTTP1),
    **dict.fromkeys(("asgi_loop", "asgi_lifespan", "asgi_disconnect_grace_period"), _ASGI),
    **dict.fromkeys(
        (
            *("dirty_timeout", "dirty_threads", "dirty_graceful_timeout", "on_dirty_starting"),
            *("dirty_post_fork", "dirty_worker_init", "dirty_worker_exit"),
        ),
        _DIRTY,
    ),
}

_REASONS = {**REFUSED, **MEANINGLESS}

#: Gunicorn's own workers that cannot serve what waits in greenlets, by the modules that they are in.
_OTHER_WORKERS = {
    "gthread": "gunicorn.workers.gthread",
    "tornado": "gunicorn.workers.gtornado",
    "asgi": "gunicorn.workers.gasgi",
    "eventlet": "gunicorn.workers.geventlet",
}

_WORKER = "only heliograph.server.worker.Worker, or Gunicorn's gevent, is allowed"


def check(cfg: Any) -> None:
    """End the start with status 1 and one line where an option of this configuration would be ignored."""
    for line in problems(cfg):
        print(line, file=sys.stderr)
        raise SystemExit(1)


def problems(cfg: Any) -> Iterator[str]:
    """One line for each option that was set and is refused."""
    kind = cfg.settings["worker_class"].get()
    if isinstance(kind, str) and (
        kind in _OTHER_WORKERS or kind == "sync" or kind.startswith("gunicorn.workers.s")
    ):
        yield f"--worker-class {kind}: {_WORKER}"
    for name, setting in cfg.settings.items():
        if name in WORKING or setting.get() == type(setting)().get():
            continue
        reason = _REASONS.get(name, "this option of a newer Gunicorn is not known here")
        option = setting.cli[-1] if setting.cli else name
        yield f"{option}={setting.get()!r}: refused, because {reason}"


def refuse_other_workers() -> None:
    """The same for the application itself, in a worker that was started without our configuration.

    Gunicorn loads the module of a worker only to use it. Status 3 ends it; after any other it would start workers for ever.
    """
    for kind, module in _OTHER_WORKERS.items():
        if module in sys.modules:
            print(f"--worker-class {kind}: {_WORKER}", file=sys.stderr)
            raise SystemExit(3)
