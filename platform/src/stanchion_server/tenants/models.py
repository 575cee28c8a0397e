"""Organisations, projects, people and keys."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models


class Organisation(models.Model):
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Project(models.Model):
    """The unit of isolation: every row of telemetry carries a project, and no query crosses two.

    Slugs are unique everywhere, so addresses need no organisation. `late_window_days` is how far back a span may start
    and still be stored. `is_demo` marks made-up traffic: pages say so.
    """

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="projects")
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    late_window_days = models.PositiveSmallIntegerField(default=30)
    content_retention_days = models.PositiveSmallIntegerField(default=30)
    daily_span_quota = models.PositiveBigIntegerField(null=True, blank=True)
    is_demo = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A person who signs in."""


class Role(models.TextChoices):
    VIEWER = "viewer", "Viewer"
    ANALYST = "analyst", "Analyst"
    ADMIN = "admin", "Admin"
    OWNER = "owner", "Owner"


class Membership(models.Model):
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user", "organisation"], name="membership_once_per_organisation")
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.organisation} as {self.role}"


class Scope(models.TextChoices):
    INGEST = "ingest", "Send telemetry"
    GUARD = "guard", "Check texts against policies"
    READ_METRICS = "read:metrics", "Read numbers"
    READ_CONTENT = "read:content", "Read prompts and answers"
    WRITE_SCORES = "write:scores", "Write scores and feedback"
    ADMIN = "admin", "Administer the project"


class ApiKey(models.Model):
    """A key of a project. Only a SHA-256 digest of the secret is kept; `key_id` is the public part."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=120)
    key_id = models.CharField(max_length=12, unique=True)
    secret_sha256 = models.BinaryField(max_length=32)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.key_id})"
