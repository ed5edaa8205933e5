"""The state of an upload as metrics of Prometheus: in a file, or over HTTP."""
