from django.apps import AppConfig


class FeedbackConfig(AppConfig):
    name = "stanchion_server.feedback"
    label = "feedback"
    default_auto_field = "django.db.models.BigAutoField"
