"""Uploaded files in a bucket of S3's protocol, by django-storages; with MEDIA=s3://BUCKET."""

from typing import Any

from boto3.exceptions import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    Boto3Error,
)
from botocore.config import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    Config,
)
from djup_web.media import acceptable, is_shown, parted
from storages.backends.s3 import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    S3Storage,
)

FAILED: tuple[type[Exception], ...] = (Boto3Error,)
WHEN_REQUIRED = "when_required"  # servers other than Amazon's may not know newer checksums


class BucketStorage(S3Storage):  # type: ignore[misc]
    """Files in a bucket, read by links that expire; none replaces another."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"client_config": client_config(options), **options})

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """Make one up each time, as in photo_a1b2c3d.jpg: between the question whether a name is
        free and the answer, another replica may take it."""
        stem, suffix = parted(acceptable(str(name)))
        random = str(self.get_alternative_name("", suffix))
        room = max(max_length - len(random), 0) if max_length else None
        return f"{stem[:room]}{random}"

    def get_object_parameters(self, name: str) -> dict[str, Any]:
        """Have what a browser could run downloaded, as the proxy does."""
        disposition = {} if is_shown(name) else {"ContentDisposition": "attachment"}
        return {**super().get_object_parameters(name), **disposition}


def client_config(options: dict[str, Any]) -> Any:
    """How the server is spoken to: one with an endpoint may have no name for each bucket."""
    style = "path" if options.get("endpoint_url") else "auto"
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": style},
        connect_timeout=5,
        retries={"mode": "standard", "max_attempts": 4},
        request_checksum_calculation=WHEN_REQUIRED,
        response_checksum_validation=WHEN_REQUIRED,
    )
