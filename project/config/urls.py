from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import include, path
from djup_web import media

urlpatterns = [
    path("", include("home.urls")),
    path("notes/", include("notes.urls")),  # the example app
    path("accounts/", include("djup_web.accounts.urls")),
    path("admin/", admin.site.urls),
    # With DEBUG alone.
    *static(settings.MEDIA_URL, view=media.serve, document_root=settings.MEDIA_ROOT),
]
