from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "stanchion_server.web.pages"
    label = "pages"
