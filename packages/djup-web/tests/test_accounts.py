"""The pages of accounts in the starter: log in, log out, change and reset a password."""

import re
from unittest import skipUnless

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core import mail
from django.test import TestCase
from djup_web import users

OLD, NEW = "a long enough phrase", "another long phrase"


@skipUnless(apps.is_installed("djup_web.accounts"), "the starter's own pages")
class AccountTests(TestCase):
    def setUp(self) -> None:
        get_user_model().objects.create_user("ann", "ann@example.org", OLD)

    def test_log_in_and_out(self) -> None:
        self.assertContains(self.client.get("/accounts/login/"), "Forgotten your password?")
        wrong = self.client.post("/accounts/login/", {"username": "ann", "password": "x"})
        self.assertContains(wrong, "<title>Error: Log in</title>")
        ann = {"username": "ann", "password": OLD}
        self.assertRedirects(self.client.post("/accounts/login/", ann), "/")
        self.assertContains(self.client.get("/"), "Log out")
        self.assertEqual(self.client.get("/accounts/logout/").status_code, 405)
        self.assertRedirects(self.client.post("/accounts/logout/"), "/")
        self.assertContains(self.client.get("/"), "Log in")

    def test_a_page_is_returned_to_and_no_other_site(self) -> None:
        page = self.client.get("/accounts/login/?next=/notes/")
        self.assertContains(page, 'name="next" value="/notes/"')
        ann = {"username": "ann", "password": OLD, "next": "https://evil.example/"}
        self.assertRedirects(self.client.post("/accounts/login/", ann), "/")

    def test_change_the_password(self) -> None:
        self.client.login(username="ann", password=OLD)
        words = {"old_password": OLD, "new_password1": NEW, "new_password2": NEW}
        answer = self.client.post("/accounts/password_change/", words, follow=True)
        self.assertContains(answer, "Your password was changed.")
        self.assertTrue(self.client.login(username="ann", password=NEW))

    def test_reset_the_password_by_mail(self) -> None:
        answer = self.client.post(
            "/accounts/password_reset/", {"email": "ann@example.org"}, follow=True
        )
        self.assertContains(answer, "a mail with a link")
        self.assertIn("A new password for testserver", mail.outbox[0].subject)
        found = re.search(r"http://testserver(\S+)", str(mail.outbox[0].body))
        assert found
        page = self.client.get(found[1], follow=True)
        words = {"new_password1": NEW, "new_password2": NEW}
        done = self.client.post(page.redirect_chain[-1][0], words, follow=True)
        self.assertContains(done, "You can log in with it now.")
        self.assertTrue(self.client.login(username="ann", password=NEW))
        self.assertContains(self.client.get(found[1]), "The link was used already")

    def test_an_unknown_address_gets_the_same_answer_and_no_mail(self) -> None:
        answer = self.client.post("/accounts/password_reset/", {"email": "x@y.org"}, follow=True)
        self.assertContains(answer, "a mail with a link")
        self.assertEqual(mail.outbox, [])

    def test_the_admin_keeps_its_own_pages(self) -> None:
        get_user_model().objects.create_superuser("eve", "", OLD)
        self.client.login(username="eve", password=OLD)
        self.assertTemplateNotUsed(
            self.client.get("/admin/password_change/"), "djup_accounts/form.html"
        )


class ModelTests(TestCase):
    def tearDown(self) -> None:
        users.chosen = ""

    def test_the_projects_own_unless_the_environment_says_otherwise(self) -> None:
        self.assertEqual(users.model({}), "users.User")
        self.assertEqual(users.model({"AUTH_USER_MODEL": ""}, "shop.Person"), "shop.Person")
        self.assertEqual(users.model({"AUTH_USER_MODEL": "auth.User"}), "auth.User")
        self.assertEqual(users.apps("users.User"), ["users"])
        self.assertEqual(users.apps("auth.User"), [])
