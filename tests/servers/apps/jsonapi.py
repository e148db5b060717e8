"""djangorestframework-jsonapi with the settings of its manual: JSON:API 1.0, and nothing else."""

import os
import sys

import django
from django.conf import settings

PORT, DATABASE = sys.argv[1:3]
settings.configure(
    SECRET_KEY="not one",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"],
    REST_FRAMEWORK={
        "PAGE_SIZE": 50,
        "EXCEPTION_HANDLER": "rest_framework_json_api.exceptions.exception_handler",
        "DEFAULT_PAGINATION_CLASS": (
            "rest_framework_json_api.pagination.JsonApiPageNumberPagination"
        ),
        "DEFAULT_PARSER_CLASSES": ("rest_framework_json_api.parsers.JSONParser",),
        "DEFAULT_RENDERER_CLASSES": ("rest_framework_json_api.renderers.JSONRenderer",),
        "DEFAULT_METADATA_CLASS": "rest_framework_json_api.metadata.JSONAPIMetadata",
    },
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command
from django.db import models
from django.urls import include, path
from rest_framework import routers
from rest_framework_json_api import serializers, views


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


class CarSerializer(serializers.ModelSerializer):
    class Meta:
        model = Car
        fields = "__all__"


class Cars(views.ReadOnlyModelViewSet):
    queryset = Car.objects.order_by("id")
    serializer_class = CarSerializer


router = routers.DefaultRouter(trailing_slash=False)
router.register("cars", Cars)
urlpatterns = [path("", include(router.urls))]

if __name__ == "__main__":
    os.environ["DJANGO_RUNSERVER_HIDE_WARNING"] = "true"
    call_command("runserver", f"127.0.0.1:{PORT}", "--noreload", "--skip-checks")
