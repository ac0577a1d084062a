from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "djup_web.accounts"
    label = "djup_accounts"  # a project may well have an app `accounts`
