import logging

from django.apps import AppConfig
from django.core.signals import request_finished

from . import errors, request_id
from .probes import is_routine


class DjupWebConfig(AppConfig):
    name = "djup_web"

    def ready(self) -> None:
        errors.install()
        # Health checks come every few seconds and would drown the development server's log.
        logging.getLogger("django.server").addFilter(lambda record: not is_routine(record))
        request_finished.connect(request_id.forget)
