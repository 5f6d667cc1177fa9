"""A Django project in one file: sessions, the admin's pages, CSRF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.contrib import admin
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

HERE = Path.cwd()

settings.configure(
    SECRET_KEY="a key for tests only",
    ALLOWED_HOSTS=["127.0.0.1", "example.org"],
    ROOT_URLCONF=__name__,
    SECURE_PROXY_SSL_HEADER=None,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": HERE / "db.sqlite3"}},
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    STATIC_URL="/static/",
)
django.setup()


def count(request: Any) -> HttpResponse:
    request.session["count"] = request.session.get("count", 0) + 1
    return HttpResponse(f"<b>{request.session['count']}</b>")


def scheme(request: Any) -> HttpResponse:
    return HttpResponse(request.build_absolute_uri("/here"))


urlpatterns = [
    path("admin/", admin.site.urls),
    path("count", count),
    path("scheme", scheme),
]


def prepare() -> None:
    """The tables, and a user."""
    from django.contrib.auth.models import User  # noqa: PLC0415 (after setup)

    call_command("migrate", verbosity=0)
    User.objects.create_superuser("admin", "", "a password")


application = get_wsgi_application()

if __name__ == "__main__":
    prepare()
