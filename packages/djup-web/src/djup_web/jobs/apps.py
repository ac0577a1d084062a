from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "djup_web.jobs"
    label = "djup_jobs"  # a project may well have an app named jobs
    verbose_name = "Jobs"
