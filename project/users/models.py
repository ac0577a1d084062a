from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """Add fields of your own here: the model cannot be exchanged once there are tables."""
