"""OpenTelemetry as an application sets it up: batching exporters of all three signals, configured by OTEL_*."""

from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor


class Telemetry:
    """`one_by_one` sends each span in a request of its own, the moment it ends."""

    def __init__(self, *, one_by_one: bool = False) -> None:
        processor = SimpleSpanProcessor if one_by_one else BatchSpanProcessor
        self.traces = TracerProvider()
        self.traces.add_span_processor(processor(OTLPSpanExporter()))
        self.logs = LoggerProvider()
        self.logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        self.metrics = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
        trace.set_tracer_provider(self.traces)
        set_logger_provider(self.logs)
        metrics.set_meter_provider(self.metrics)

    def flush(self) -> None:
        self.traces.shutdown()
        self.logs.shutdown()
        self.metrics.shutdown()
