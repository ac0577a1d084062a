from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("home.urls")),
    path("notes/", include("notes.urls")),  # the example app
    path("admin/", admin.site.urls),
]
