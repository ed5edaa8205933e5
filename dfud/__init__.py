"""dfud: upload what an instrument writes to Apache Kafka, and lose nothing."""

__version__ = "0.1.0"
