import io

from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client, TestCase

from .models import Note


class NotesTests(TestCase):
    def test_a_note_is_kept_and_shown_escaped(self) -> None:
        answer = self.client.post("/notes/", {"text": "<b>bread</b>"})
        self.assertRedirects(answer, "/notes/")
        self.assertContains(self.client.get("/notes/"), "&lt;b&gt;bread&lt;/b&gt;")

    def test_newest_first(self) -> None:
        for text in ("one", "two"):
            Note.objects.create(text=text)
        self.assertEqual([note.text for note in Note.objects.all()], ["two", "one"])

    def test_a_wrong_note_is_explained_and_not_kept(self) -> None:
        for text, message in (
            ("", "This field is required."),
            ("  ", "This field is required."),
            ("x" * 201, "at most 200 characters"),
            ("a\x00b", "Null characters are not allowed."),
        ):
            page = self.client.post("/notes/", {"text": text})
            self.assertContains(page, message)
        self.assertEqual(Note.objects.count(), 0)

    def test_delete(self) -> None:
        keep, drop = (Note.objects.create(text=text) for text in ("keep", "drop"))
        self.assertRedirects(self.client.post(f"/notes/{drop.pk}/delete/"), "/notes/")
        self.assertEqual(list(Note.objects.all()), [keep])
        self.assertEqual(self.client.post(f"/notes/{drop.pk}/delete/").status_code, 404)

    def test_delete_takes_a_post(self) -> None:
        note = Note.objects.create(text="stays")
        self.assertEqual(self.client.get(f"/notes/{note.pk}/delete/").status_code, 405)

    def test_posts_need_the_csrf_token(self) -> None:
        client = Client(enforce_csrf_checks=True)
        self.assertEqual(client.post("/notes/", {"text": "x"}).status_code, 403)

    def test_admin(self) -> None:
        note = Note.objects.create(text="seen")
        self.client.force_login(User.objects.create_superuser("ann"))
        self.assertContains(self.client.get("/admin/notes/note/"), note.text)

    def test_the_example_data_are_notes_of_different_moments(self) -> None:
        mine = Note.objects.create(text="mine")
        for _ in range(2):
            call_command("load_seed", verbosity=0, stdout=io.StringIO())
        [first, *examples] = Note.objects.all()
        self.assertEqual(first, mine)
        self.assertEqual(len({note.created_at for note in examples}), 5)
        self.assertEqual(Note.objects.create(text="next"), Note.objects.all()[0])
