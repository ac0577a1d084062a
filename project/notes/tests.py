from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase

from .models import Note


class NotesTests(TestCase):
    def test_a_note_is_kept_and_shown_escaped(self) -> None:
        answer = self.client.post("/notes/", {"text": "<b>bread</b>"})
        self.assertRedirects(answer, "/notes/")
        self.assertContains(self.client.get("/notes/"), "&lt;b&gt;bread&lt;/b&gt;")

    def test_an_empty_note_is_explained_and_not_kept(self) -> None:
        page = self.client.post("/notes/", {"text": ""})
        self.assertContains(page, "This field is required.")
        self.assertEqual(Note.objects.count(), 0)

    def test_an_attachment_is_kept_and_linked(self) -> None:
        file = SimpleUploadedFile("a list.txt", b"bread")
        self.client.post("/notes/", {"text": "see there", "attachment": file})
        note = Note.objects.get()
        with note.attachment as kept:
            self.assertEqual(kept.read(), b"bread")
        self.assertContains(self.client.get("/notes/"), note.attachment.url)

    def test_delete(self) -> None:
        keep, drop = (Note.objects.create(text=text) for text in ("keep", "drop"))
        self.assertRedirects(self.client.post(f"/notes/{drop.pk}/delete/"), "/notes/")
        self.assertEqual(list(Note.objects.all()), [keep])

    def test_admin(self) -> None:
        note = Note.objects.create(text="seen")
        self.client.force_login(get_user_model().objects.create_superuser("ann"))
        self.assertContains(self.client.get("/admin/notes/note/"), note.text)
