from django.apps import AppConfig


class ScheduleConfig(AppConfig):
    name = "djup_web.schedule"
    label = "djup_schedule"
    verbose_name = "Schedule"
    default_auto_field = "django.db.models.BigAutoField"
