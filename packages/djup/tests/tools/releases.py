"""What `.env` says of a production, and a release of it."""

from djup.checkout import env
from djup.deploy import production
from djup.deploy.swarm.release import Release
from djup.settings.settings import Settings

LONG = "0123456789-" * 4
BASE = {
    "COMPOSE_PROJECT_NAME": "shop-1a2b3c",
    "SECRET_KEY": f"of-development-{LONG}",
    "SQL_PASSWORD": "of-development",
    "DOMAIN": "shop.example.org, www.shop.example.org",
    "PROD_SECRET_KEY": f"of-production-{LONG}",
    "PROD_SQL_PASSWORD": "of-production-2",
}


def settings(**values: str) -> Settings:
    return env.settings_from("".join(f"{k}='{v}'\n" for k, v in {**BASE, **values}.items()))


def made(**values: str) -> production.Production:
    return production.from_settings(settings(**values))


def release(number: int = 1, **values: str) -> Release:
    return made(**values).as_release("shop-web:abc", "abc", "0f0f", number)
