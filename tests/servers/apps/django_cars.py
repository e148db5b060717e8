"""What the programs of Django's share: the settings, the table of cars, the server."""

import os
import sys

import django
from django.conf import settings
from django.core.management import call_command
from django.db import models

PORT, DATABASE = sys.argv[1:3]


def set_up(*apps, **more):
    """Set up Django for the program that was started, with these applications; return its cars.

    A program imports most of Django's modules only after this.
    """
    settings.configure(
        SECRET_KEY="not one",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="__main__",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE}},
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", *apps],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        USE_TZ=True,
        **more,
    )
    django.setup()

    class Car(models.Model):
        make = models.CharField(max_length=50)
        model = models.CharField(max_length=50)
        year = models.IntegerField()
        price = models.FloatField()
        mileage = models.IntegerField()
        vin = models.CharField(max_length=17)
        color = models.CharField(max_length=20)

        class Meta:
            app_label = "cars"
            db_table = "cars"
            managed = False

    return Car


def serve():
    """Serve until the process is ended."""
    os.environ["DJANGO_RUNSERVER_HIDE_WARNING"] = "true"
    call_command("runserver", f"127.0.0.1:{PORT}", "--noreload", "--skip-checks")
