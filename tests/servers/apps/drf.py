"""Django REST Framework as its tutorial sets it up: three paginations, and a token."""

import sys

from django_cars import serve, set_up

TOKEN = sys.argv[3]
Car = set_up("rest_framework", "rest_framework.authtoken", REST_FRAMEWORK={"PAGE_SIZE": 50})

from django.core.management import call_command
from django.urls import include, path
from rest_framework import authentication, pagination, permissions
from rest_framework import routers, serializers, viewsets


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
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User
    from rest_framework.authtoken.models import Token

    user, _ = User.objects.get_or_create(username="carsync")
    Token.objects.update_or_create(user=user, defaults={"key": TOKEN})
    serve()
