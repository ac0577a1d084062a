from django.db import models


class Row(models.Model):
    """A row of the table as Django's DatabaseCache reads and writes it, past this model."""

    cache_key = models.CharField(max_length=255, primary_key=True)
    value = models.TextField()
    expires = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "djup_cache"
        default_permissions = ()
