"""One instance of this checkout's application: `gunicorn -c conf/gunicorn.conf.py wsgi:app`."""

from gevent import monkey
monkey.patch_all()  # before anything else is imported

from heliograph.server.config import *  # noqa: F403  every public name is a setting of Gunicorn's
