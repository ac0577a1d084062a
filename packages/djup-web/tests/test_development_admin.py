import io
import os
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import TestCase, override_settings

User = get_user_model()
PASSWORD = "it's $5 a long one"
ANN = {"USERNAME": "ann", "PASSWORD": PASSWORD, "EMAIL": "ann@example.org"}


@contextmanager
def superuser_variables(**values: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update({f"DJANGO_SUPERUSER_{key}": value for key, value in values.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@override_settings(DEBUG=True)
class AdminTests(TestCase):
    def seed(self, **values: str) -> str:
        """The last line that is printed."""
        printed = io.StringIO()
        with superuser_variables(**{**ANN, **values}):
            call_command("load_seed", "--admin", stdout=printed)
        self.assertNotIn(PASSWORD, printed.getvalue())
        return printed.getvalue().splitlines()[-1]

    def assert_refused(self, sentence: str, **values: str) -> None:
        with self.assertRaisesMessage(CommandError, f"No superuser was created: {sentence}"):
            self.seed(**values)
        self.assertEqual(User.objects.count(), 0)

    def test_logs_in_to_the_admin(self) -> None:
        self.assertEqual(self.seed(), "created the superuser ann, who can log in at /admin/")
        self.assertTrue(self.client.login(username="ann", password=PASSWORD))
        self.assertEqual(self.client.get("/admin/").status_code, 200)
        self.assertEqual(User.objects.get().email, "ann@example.org")

    def test_a_user_who_is_there_stays(self) -> None:
        User.objects.create_user("ann", password="of before", email="ann@example.net")
        before = list(User.objects.values())
        self.assertIn("the user ann already exists", self.seed())
        self.assertEqual(list(User.objects.values()), before)

    def test_what_is_missing_is_named(self) -> None:
        self.assert_refused(
            "DJANGO_SUPERUSER_USERNAME and DJANGO_SUPERUSER_PASSWORD must be set.",
            USERNAME="",
            PASSWORD="",
        )

    def test_what_django_refuses_is_a_sentence(self) -> None:
        self.assert_refused("Enter a valid email address.", EMAIL="ann")
        self.assert_refused("Enter a valid username.", USERNAME="a n n")

    @override_settings(DEBUG=False)
    def test_none_with_debug_off(self) -> None:
        self.assert_refused("DEBUG is off")
