from django.apps import AppConfig


class TracesConfig(AppConfig):
    name = "stanchion_server.traces"
    label = "traces"
    default_auto_field = "django.db.models.BigAutoField"
