from gevent import monkey
monkey.patch_all()

# The WSGI application, for any server: `gunicorn wsgi:app`, `flask --app wsgi run`. Patched before anything else is imported.

from app import create_app

app = create_app()
