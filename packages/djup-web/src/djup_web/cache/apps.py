from django.apps import AppConfig


class CacheConfig(AppConfig):
    name = "djup_web.cache"
    label = "djup_cache"
    verbose_name = "Cache"
    default_auto_field = "django.db.models.BigAutoField"
