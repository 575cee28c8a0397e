from django.apps import AppConfig


class DriftConfig(AppConfig):
    name = "stanchion_server.drift"
    label = "drift"
    default_auto_field = "django.db.models.BigAutoField"
