"""Measures an OpenAI-compatible endpoint from the shell, by streamed answers."""
