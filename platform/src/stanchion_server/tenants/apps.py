from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "stanchion_server.tenants"
    label = "tenants"
    default_auto_field = "django.db.models.BigAutoField"
