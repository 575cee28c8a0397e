"""The daemon beside the GPUs: what cards and serving engines do, sent as OTLP metrics."""

__version__ = "0.1.0"
