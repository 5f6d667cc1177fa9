from gevent import monkey
monkey.patch_all()

# The WSGI application, for any server: `gunicorn wsgi:app`, `flask --app wsgi run`. Patched before anything else is imported.

from app.application import create_app
from heliograph.request.lifecycle import announce_limits
from heliograph.settings import from_environment

# When a worker ends with 3 Gunicorn ends too; after any other status it would start workers for ever.
settings, _ = from_environment(status=3)
app = create_app(settings)
announce_limits(settings)
