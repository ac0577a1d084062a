"""Mail of a deployed site, by an SMTP server on its network; its settings can be read back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deployed import Site, one_node
from stacks import docker, eventually

from djup.checkout import env
from djup.deploy import production
from djup.settings import dotenv

IMAGE = "maildev/maildev:2.2.1"
PAGE = "http://127.0.0.1:1080"
ODD = "a b#c$d\"e'f\\g"
FRESH = "COMPOSE_PROJECT_NAME=fresh\nSECRET_KEY=fresh\nSQL_PASSWORD=fresh\n"
FAILURE = "import logging; logging.getLogger('django.request').error('postgres://u:hidden@h/d')"


@one_node
def test_a_site_sends_mail(site: Site) -> None:
    """A test, and a report of an error; the password of the server is in the secret alone."""
    assert "without EMAIL_URL no mail is sent" in site.inv("deploy", "--plan").stdout
    with smtp(site) as server, site.taken_back():
        site.stack.set("EMAIL_URL", f"smtp://{server}:1025?timeout=7")
        site.stack.set("DEFAULT_FROM_EMAIL", "Shop <shop@example.org>")
        site.stack.set("ADMINS", "ann@example.org")
        site.stack.set("ODD", dotenv.quoted(ODD))
        site.deploy()
        assert "no mail is sent" not in site.inv("deploy", "--plan").stdout
        site.inv("deploy.manage", "--", "sendtestemail", "you@example.org")
        site.inv("deploy.manage", "--", "shell", "-c", FAILURE)
        sent = {one["to"][0]["address"]: one for one in mails(server)}
        assert sent["you@example.org"]["from"][0]["address"] == "shop@example.org"
        report = json.dumps(sent["ann@example.org"])
        assert "postgres://u:" in report and "hidden" not in report
        assert "timeout=7" not in docker("service", "inspect", f"{site.name}_web").stdout
        assert_read_back(site)


def assert_read_back(site: Site) -> None:
    """What `deploy.env` prints makes the same secrets again: a name has a hash of the content."""
    said = site.inv("deploy.env")
    again = production.from_settings(env.settings_from(FRESH + said.stdout))
    there = docker("secret", "ls", "--format", "{{.Name}}").stdout.split()
    assert again.objects["secret"].keys() <= set(there)
    assert dotenv.parse(said.stdout)["PROD_ODD"] == ODD
    assert "DEPLOY_CHECK" in said.stderr
    assert site.stack.values["SECRET_KEY"] not in said.stderr


@contextmanager
def smtp(site: Site) -> Iterator[str]:
    """The name of a server that the site's containers reach."""
    name = f"{site.name}-smtp"
    # By the container's address, as all services of a stack: a virtual one needs more of a kernel.
    network = ("--endpoint-mode", "dnsrr", "--network", f"{site.name}_back")
    docker("service", "create", "--quiet", "--name", name, *network, IMAGE)
    try:
        eventually(lambda: listens(name), 60, "the SMTP server listens")
        yield name
    finally:
        docker("service", "rm", name)


def container(name: str) -> str:
    listing = ("ps", "--quiet", "--filter", f"label=com.docker.swarm.service.name={name}")
    return docker(*listing).stdout.strip()


def listens(name: str) -> bool:
    asked = ("exec", container(name) or "none", "wget", "-qO-", f"{PAGE}/email")
    return not docker(*asked, check=False).returncode


def mails(name: str) -> list[dict[str, Any]]:
    page = ("wget", "-qO-", f"{PAGE}/email")
    return list(json.loads(docker("exec", container(name), *page).stdout))
