import uuid

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = ()

    operations = (
        migrations.CreateModel(
            name="Job",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("task", models.CharField(max_length=250)),
                ("args", models.JSONField(default=list)),
                ("kwargs", models.JSONField(default=dict)),
                ("queue", models.CharField(max_length=32)),
                ("priority", models.SmallIntegerField(default=0)),
                ("backend", models.CharField(max_length=32)),
                ("request_id", models.CharField(blank=True, max_length=64)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("READY", "Ready"),
                            ("LATER", "Later"),
                            ("RUNNING", "Running"),
                            ("DONE", "Done"),
                            ("DEAD", "Dead"),
                        ],
                        default="READY",
                        max_length=8,
                    ),
                ),
                ("run_after", models.DateTimeField(null=True)),
                ("enqueued_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("started_at", models.DateTimeField(null=True)),
                ("last_attempted_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("faults", models.PositiveIntegerField(default=0)),
                ("allowed", models.PositiveIntegerField(default=1)),
                ("worker", models.CharField(blank=True, max_length=64)),
                ("workers", models.JSONField(default=list)),
                ("lease_until", models.DateTimeField(null=True)),
                ("return_value", models.JSONField(null=True)),
                ("errors", models.JSONField(default=list)),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.OrderBy(models.F("priority"), descending=True),
                        models.F("enqueued_at"),
                        condition=models.Q(("state", "READY")),
                        name="djup_jobs_ready",
                    ),
                    models.Index(
                        models.F("run_after"),
                        condition=models.Q(("state", "LATER")),
                        name="djup_jobs_later",
                    ),
                    models.Index(
                        models.F("lease_until"),
                        condition=models.Q(("state", "RUNNING")),
                        name="djup_jobs_running",
                    ),
                    models.Index(
                        models.F("finished_at"), models.F("state"), name="djup_jobs_finished"
                    ),
                    models.Index(
                        models.OrderBy(models.F("enqueued_at"), descending=True),
                        name="djup_jobs_newest",
                    ),
                ],
            },
        ),
    )
