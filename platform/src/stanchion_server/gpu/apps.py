from django.apps import AppConfig


class GpuConfig(AppConfig):
    name = "stanchion_server.gpu"
    label = "gpu"
    default_auto_field = "django.db.models.BigAutoField"
