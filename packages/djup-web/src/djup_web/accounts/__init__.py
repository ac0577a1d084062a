"""Pages of accounts: log in, log out, change and reset a password.

Django's own views, with templates that extend the project's base.html. A project that has
"djup_web.accounts" in INSTALLED_APPS includes `djup_web.accounts.urls`.
"""
