"""What is read from the names of images."""

import pytest

from djup.docker import base_images


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("postgres:17-alpine", "postgres:18-alpine"),
        ("postgres:17.6-alpine3.17", "postgres:18-alpine3.17"),
        ("postgres:17", "postgres:18"),
        ("mirror17.example.org:5017/postgres:17", "mirror17.example.org:5017/postgres:18"),
        ("example/postgis-17:latest", "example/postgis-18:latest"),
        ("postgres:latest", ""),
        ("postgres:170", ""),
    ],
)
def test_the_image_of_another_major_version(image: str, found: str) -> None:
    assert base_images.of_major(image, "17", "18") == found
