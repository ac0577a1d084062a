import djup_web.schedule.models
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            name="Entry",
            fields=[
                ("name", models.CharField(max_length=200, primary_key=True, serialize=False)),
                ("times", models.CharField(max_length=200)),
                ("next_run", djup_web.schedule.models.Moment(null=True)),
                ("due", djup_web.schedule.models.Moment(null=True)),
                ("started", djup_web.schedule.models.Moment(null=True)),
                ("ended", djup_web.schedule.models.Moment(null=True)),
                ("outcome", models.CharField(blank=True, default="", max_length=20)),
                ("error", models.TextField(blank=True, default="")),
                ("holder", models.CharField(blank=True, default="", max_length=200)),
                ("again", models.BooleanField(default=False)),
            ],
            options={
                "verbose_name_plural": "entries",
                "ordering": ("name",),
                "default_permissions": ("view",),
            },
        ),
    )
