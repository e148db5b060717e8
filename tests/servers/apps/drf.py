"""Django REST Framework as its tutorial sets it up: three paginations, and a token."""

import os
import sys

import django
from django.conf import settings

PORT, DATABASE, TOKEN = sys.argv[1:4]
settings.configure(
    SECRET_KEY="not one",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE}},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "rest_framework",
        "rest_framework.authtoken",
    ],
    REST_FRAMEWORK={"PAGE_SIZE": 50},
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command
from django.db import models
from django.urls import include, path
from rest_framework import authentication, pagination, permissions
from rest_framework import routers, serializers, viewsets


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


class ByNumber(viewsets.ReadOnlyModelViewSet):
    queryset = Car.objects.order_by("id")
    serializer_class = CarSerializer
    pagination_class = pagination.PageNumberPagination


class ByOffset(ByNumber):
    pagination_class = pagination.LimitOffsetPagination


class IdCursor(pagination.CursorPagination):
    ordering = "id"


class ByCursor(ByNumber):
    pagination_class = IdCursor
    authentication_classes = (authentication.TokenAuthentication,)
    permission_classes = (permissions.IsAuthenticated,)


urlpatterns = []
for name, view in {"page": ByNumber, "limit": ByOffset, "cursor": ByCursor}.items():
    router = routers.DefaultRouter()
    router.register("cars", view)
    urlpatterns.append(path(f"{name}/", include(router.urls)))

if __name__ == "__main__":
    os.environ["DJANGO_RUNSERVER_HIDE_WARNING"] = "true"
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User
    from rest_framework.authtoken.models import Token

    user, _ = User.objects.get_or_create(username="carsync")
    Token.objects.update_or_create(user=user, defaults={"key": TOKEN})
    call_command("runserver", f"127.0.0.1:{PORT}", "--noreload", "--skip-checks")
