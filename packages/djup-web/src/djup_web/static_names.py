"""Which static files the templates of this project name, and the image lacks.

With hashed names such a file is an error on each page that names it, in production alone.
"""

from collections.abc import Iterator
from pathlib import Path

from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
from django.template import engines
from django.template.backends.django import DjangoTemplates
from django.template.base import Lexer, Token, TokenType
from djup_web import own_code
from djup_web.static_files import of_a_folder


def lacking() -> dict[str, str]:
    """Each name that was not collected, and a template that has it."""
    if of_a_folder() is None or not isinstance(staticfiles_storage, ManifestFilesMixin):
        return {}
    return {
        name: own_code.shown(template)
        for template in reversed(list(templates()))
        for name in names_in(template.read_text(errors="replace"))
        if not is_stored(name)
    }


def templates() -> Iterator[Path]:
    """The files of this project's templates; those of packages come with their static files."""
    for engine in engines.all():
        if isinstance(engine, DjangoTemplates):
            for folder in map(Path, engine.template_dirs):
                if own_code.is_own(folder):
                    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def names_in(text: str) -> Iterator[str]:
    """What `{% static "name" %}` names, if it is written out there; a comment names nothing."""
    commented = False
    for token in Lexer(text).tokenize():
        words = tag(token)
        if words[:1] in (["comment"], ["endcomment"]):
            commented = words[0] == "comment"
        elif words[:1] == ["static"] and len(words) > 1 and not commented:
            name = words[1]
            if len(name) > 2 and name[0] == name[-1] and name[0] in "\"'":
                yield name[1:-1]


def tag(token: Token) -> list[str]:
    """The words of a block tag; of anything else none."""
    return token.split_contents() if token.token_type == TokenType.BLOCK else []


def is_stored(name: str) -> bool:
    """Whether a page would find the file."""
    assert isinstance(staticfiles_storage, ManifestFilesMixin)
    try:
        staticfiles_storage.stored_name(name)
    except ValueError:
        return False
    return True
