"""The settings of mail, read from the environment; no error shows a password."""

import io
from typing import Any
from unittest import mock

import django
from django.core import mail as sent
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import SimpleTestCase
from djup_web import mail
from djup_web.mail import BACKENDS

SECRET = "pa@ss"


def read(url: str, production: bool = True, **more: str) -> dict[str, Any]:
    """The settings as Django before 6.1 has them."""
    with mock.patch.object(django, "VERSION", (5, 2)):
        return mail.mail({"EMAIL_URL": url, **more}, production)


class UrlTests(SimpleTestCase):
    def test_an_smtp_server(self) -> None:
        found = read("smtp+tls://ann%40a.b:pa%40ss@smtp.example.org?timeout=5")
        self.assertEqual(found["EMAIL_BACKEND"], f"{BACKENDS}.smtp.EmailBackend")
        self.assertEqual((found["EMAIL_HOST"], found["EMAIL_PORT"]), ("smtp.example.org", 587))
        self.assertEqual(found["EMAIL_HOST_USER"], "ann@a.b")
        self.assertEqual(found["EMAIL_HOST_PASSWORD"], SECRET)
        self.assertEqual((found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"]), (True, False))
        self.assertEqual(found["EMAIL_TIMEOUT"], 5)

    def test_ports_and_encryption(self) -> None:
        for url, port, tls, ssl in (
            ("smtp://mail:1025", 1025, False, False),
            ("smtp://mail/", 25, False, False),
            ("smtp+ssl://mail", 465, False, True),
        ):
            found = read(url)
            ports = (found["EMAIL_PORT"], found["EMAIL_USE_TLS"], found["EMAIL_USE_SSL"])
            self.assertEqual(ports, (port, tls, ssl), url)
            self.assertEqual(found["EMAIL_TIMEOUT"], mail.SECONDS)

    def test_nothing_is_sent_out_unless_it_is_asked_for(self) -> None:
        self.assertEqual(read("", False), {"EMAIL_BACKEND": f"{BACKENDS}.console.EmailBackend"})
        self.assertEqual(read("", True), {})
        files = read("filemail:///srv/my%20mail", False)
        self.assertEqual(files["EMAIL_FILE_PATH"], "/srv/my mail")

    def test_what_cannot_be_read_is_an_error_without_the_password(self) -> None:
        for url in (
            f"smtps://ann:{SECRET}@smtp.example.org",
            f"smpt://ann:{SECRET}@smtp.example.org",
            f"ann:{SECRET}@smtp.example.org",
            "smtp://ann:pa@ss/word@smtp.example.org",
            "smtp://ann:pa@ss#word@smtp.example.org",
            "smtp://ann:pa@ss?word@smtp.example.org",
            "smtp://ann:pa@ss@smtp.example.org:99999",
            "smtp://ann:pa@ss@smtp.example.org:0",
            "smtp://ann:pa@ss@smtp.example.org/path",
            "smtp://ann:pa@ss@smtp.example.org?tls=yes",
            "smtp://ann:pa@ss@smtp.example.org?timeout=soon",
            "smtp://ann:pa@ss word@smtp.example.org",
            "smtp://:pa@ss@smtp.example.org",
            "smtp://ann@smtp.example.org",
            "smtp://",
            "consolemail://pa@ss",
            "filemail://pa@ss",
        ):
            with self.assertRaises(ImproperlyConfigured) as caught:
                read(url)
            said = str(caught.exception)
            self.assertIn("EMAIL_URL", said, url)
            self.assertNotIn("pa@", said, url)
            self.assertIsNone(caught.exception.__cause__, url)

    def test_addresses(self) -> None:
        found = read("", DEFAULT_FROM_EMAIL="Shop <shop@a.org>", ADMINS="ann@a.org, bob@a.org")
        self.assertEqual(found["DEFAULT_FROM_EMAIL"], "Shop <shop@a.org>")
        self.assertEqual(found["SERVER_EMAIL"], "Shop <shop@a.org>")
        self.assertEqual(len(found["ADMINS"]), 2)
        for key in ("DEFAULT_FROM_EMAIL", "SERVER_EMAIL", "ADMINS"):
            with self.assertRaisesMessage(ImproperlyConfigured, f"{key} has 'shop'"):
                mail.addresses({key: "shop"})

    def test_as_django_6_1_has_them(self) -> None:
        with mock.patch.object(django, "VERSION", (6, 1)):
            found = mail.mail({"EMAIL_URL": "smtp://mail:1025", "ADMINS": "a@b.org"}, True)
        server = found["MAILERS"]["default"]
        self.assertEqual(server["BACKEND"], f"{BACKENDS}.smtp.EmailBackend")
        self.assertEqual((server["OPTIONS"]["host"], server["OPTIONS"]["port"]), ("mail", 1025))
        self.assertEqual(found["ADMINS"], ["a@b.org"])


class AdoptedTests(SimpleTestCase):
    def test_nothing_without_a_url(self) -> None:
        self.assertEqual(mail.adopt({"EMAIL_HOST": "theirs"}, {"ADMINS": "a@b.org"}), {})

    def test_a_url_goes_over_their_server(self) -> None:
        found = mail.adopt({"EMAIL_HOST": "theirs"}, {"EMAIL_URL": "smtp://mail:1025"})
        self.assertEqual(found["EMAIL_HOST"], "mail")

    def test_a_url_of_another_kind_is_theirs_to_read(self) -> None:
        theirs = {"EMAIL_URL": "smtps://ann:secret@smtp.example.org"}
        self.assertEqual(mail.adopt({"EMAIL_HOST": "smtp.example.org"}, theirs), {})
        with self.assertRaises(ImproperlyConfigured):
            mail.adopt({}, theirs)

    def test_their_mailers_keep_the_others(self) -> None:
        theirs = {"MAILERS": {"default": {"BACKEND": "x"}, "bulk": {"BACKEND": "y"}}}
        found = mail.adopt(theirs, {"EMAIL_URL": "smtp://mail:1025"})["MAILERS"]
        self.assertEqual(found["default"]["OPTIONS"]["host"], "mail")
        self.assertEqual(found["bulk"], {"BACKEND": "y"})


class SendTests(SimpleTestCase):
    def test_sendtestemail(self) -> None:
        call_command("sendtestemail", "ann@example.org", stdout=io.StringIO())
        self.assertEqual(sent.outbox[0].to, ["ann@example.org"])
