"""django-tastypie and django-ninja with their defaults."""

from django_cars import serve, set_up

Car = set_up("tastypie", TASTYPIE_DEFAULT_FORMATS=["json"])

from django.urls import include, path
from ninja import ModelSchema, NinjaAPI
from ninja.pagination import LimitOffsetPagination, PageNumberPagination, paginate
from tastypie.api import Api
from tastypie.resources import ModelResource


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
    serve()
