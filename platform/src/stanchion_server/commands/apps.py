from django.apps import AppConfig


class CommandsConfig(AppConfig):
    name = "stanchion_server.commands"
    label = "commands"
    default_auto_field = "django.db.models.BigAutoField"
