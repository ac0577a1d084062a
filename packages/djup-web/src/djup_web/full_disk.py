"""A disk that takes no more: 507 and a sentence in the log, in place of a traceback."""

import errno
import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

logger = logging.getLogger(__name__)

REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.EROFS: "the file system is read-only (uploads are off, or MEDIA_ROOT is not in a volume)",
}
PAGE = (
    "<!doctype html><title>Not stored</title>"
    "<p>The disk of this site is full. Nothing was stored. Try again later."
)


class FullDiskMiddleware:
    """Answers where a file could not be written, by a view or while its form was read.

    Large files of a form are written before the view is called, for the CSRF check reads the form;
    what fails there no `process_exception` is told of, so the form is read here."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, OSError) or error.errno not in REASONS:
            return None
        logger.error("Cannot store a file (%s): %s.", error.filename or "", REASONS[error.errno])
        return HttpResponse(PAGE, status=507)

    def process_view(self, request: HttpRequest, view: object, *_: object) -> HttpResponse | None:
        if request.content_type != "multipart/form-data" or getattr(view, "csrf_exempt", False):
            return None  # nobody reads it before the view, which may choose how
        try:
            request.POST  # noqa: B018
        except OSError as error:
            return self.process_exception(request, error)
        return None
