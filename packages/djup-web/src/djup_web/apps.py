import logging

from django.apps import AppConfig
from django.core.signals import request_finished

from . import errors, masking, request_id
from .probes import is_routine


class DjupWebConfig(AppConfig):
    name = "djup_web"

    def ready(self) -> None:
        # Unless the settings have: again, it would take the place of who reports errors since.
        if logging.getLogRecordFactory() is not masking.Record:
            errors.install()
        # Health checks come every few seconds and would drown the development server's log.
        logging.getLogger("django.server").addFilter(lambda record: not is_routine(record))
        request_finished.connect(request_id.forget)
