"""Clients of Kafka: their configuration, what is asked before a run, and the loop that reads partitions."""
