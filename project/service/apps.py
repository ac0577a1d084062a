import logging

from django.apps import AppConfig
from django.core.signals import request_finished

from . import masking, request_id
from .probes import is_routine


class ServiceConfig(AppConfig):
    name = "service"

    def ready(self) -> None:
        masking.install()
        # Health checks come every few seconds and would drown the development server's log.
        logging.getLogger("django.server").addFilter(lambda record: not is_routine(record))
        request_finished.connect(request_id.forget)
