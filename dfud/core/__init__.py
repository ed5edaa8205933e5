"""The pure core: no I/O, no clock, no Kafka, no process."""
