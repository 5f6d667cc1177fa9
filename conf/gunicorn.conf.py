"""One instance of this checkout's application: `gunicorn -c conf/gunicorn.conf.py wsgi:app`."""

from gevent import monkey
from heliograph.server import plugins
with plugins.read_once():
    monkey.patch_all()  # before anything else is imported

from app.options import CodecOptions
from heliograph.options import LIBRARY
from heliograph.settings import from_environment

# Of the application, too: a wrong value ends the start with one line, before there is a worker.
from_environment((*LIBRARY, CodecOptions))

from heliograph.server.closed_config import *  # noqa: F403  every public name is a setting of Gunicorn's
