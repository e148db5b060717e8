"""django-tastypie and django-ninja with their defaults."""

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
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "tastypie"],
    TASTYPIE_DEFAULT_FORMATS=["json"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command
from django.db import models
from django.urls import include, path
from ninja import ModelSchema, NinjaAPI
from ninja.pagination import LimitOffsetPagination, PageNumberPagination, paginate
from tastypie.api import Api
from tastypie.resources import ModelResource


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


class CarResource(ModelResource):
    class Meta:
        queryset = Car.objects.order_by("id")
        resource_name = "cars"


tastypie = Api(api_name="v1")
tastypie.register(CarResource())
ninja = NinjaAPI()


class CarSchema(ModelSchema):
    class Meta:
        model = Car
        fields = "__all__"


@ninja.get("/page/cars", response=list[CarSchema])
@paginate(PageNumberPagination)
def by_number(request):
    return Car.objects.order_by("id")


@ninja.get("/limit/cars", response=list[CarSchema])
@paginate(LimitOffsetPagination)
def by_offset(request):
    return Car.objects.order_by("id")


urlpatterns = [path("tastypie/", include(tastypie.urls)), path("ninja/", ninja.urls)]

if __name__ == "__main__":
    os.environ["DJANGO_RUNSERVER_HIDE_WARNING"] = "true"
    call_command("runserver", f"127.0.0.1:{PORT}", "--noreload", "--skip-checks")
