"""djangorestframework-jsonapi with the settings of its manual: JSON:API 1.0, and nothing else."""

from django_cars import serve, set_up

Car = set_up(
    "rest_framework",
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
)

from django.urls import include, path
from rest_framework import routers
from rest_framework_json_api import serializers, views


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
    serve()
