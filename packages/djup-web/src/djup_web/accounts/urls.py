"""The paths and names of django.contrib.auth.urls; the admin keeps its own pages."""

from django.contrib.auth import views
from django.urls import path

FORM, DONE = "djup_accounts/form.html", "djup_accounts/done.html"
LOGIN = {"title": "Log in", "button": "Log in", "is_login": True}
CHANGED = "Your password was changed."
SENT = (
    "If there is an account with this address, a mail with a link is on its way to it. "
    "If none arrives, check the address, and look into the folder for spam."
)
COMPLETE = "Your password was set. You can log in with it now."

urlpatterns = [
    path(
        "login/",
        views.LoginView.as_view(template_name=FORM, next_page="/", extra_context=LOGIN),
        name="login",
    ),
    path("logout/", views.LogoutView.as_view(next_page="/"), name="logout"),
    path(
        "password_change/",
        views.PasswordChangeView.as_view(
            template_name=FORM, extra_context={"button": "Change the password"}
        ),
        name="password_change",
    ),
    path(
        "password_change/done/",
        views.PasswordChangeDoneView.as_view(template_name=DONE, extra_context={"text": CHANGED}),
        name="password_change_done",
    ),
    path(
        "password_reset/",
        views.PasswordResetView.as_view(
            template_name=FORM,
            email_template_name="djup_accounts/reset_email.txt",
            subject_template_name="djup_accounts/reset_subject.txt",
            extra_context={"button": "Send me a link"},
        ),
        name="password_reset",
    ),
    path(
        "password_reset/done/",
        views.PasswordResetDoneView.as_view(template_name=DONE, extra_context={"text": SENT}),
        name="password_reset_done",
    ),
    path(
        "reset/<uidb64>/<token>/",
        views.PasswordResetConfirmView.as_view(
            template_name=FORM, extra_context={"button": "Set the password"}
        ),
        name="password_reset_confirm",
    ),
    path(
        "reset/done/",
        views.PasswordResetCompleteView.as_view(
            template_name=DONE, extra_context={"text": COMPLETE, "is_complete": True}
        ),
        name="password_reset_complete",
    ),
]
