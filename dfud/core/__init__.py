"""The pure core, formats and arithmetic: no I/O, no clock, no Kafka, no process."""
