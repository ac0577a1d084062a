from django.forms import modelform_factory
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from .models import Note

NoteForm = modelform_factory(Note, fields=["text", "attachment"])


@require_http_methods(["GET", "HEAD", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    form = NoteForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        form.save()
        return redirect("notes:index")
    return render(request, "notes/index.html", {"form": form, "notes": Note.objects.all()})


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    get_object_or_404(Note, pk=pk).delete()
    return redirect("notes:index")
