from gevent import monkey
monkey.patch_all()

# The WSGI application, for any server: `gunicorn wsgi:app`, `flask --app wsgi run`. Patched before anything else is imported.

from app.application import GROUPS, announce, create_app
from heliograph.settings import exit_on_error, from_environment

# When a worker ends with 3 Gunicorn ends too; after any other status it would start workers for ever.
settings = from_environment(GROUPS, status=3)
with exit_on_error(status=3):  # as when it would listen for everybody
    app = create_app(settings)
announce(settings)
