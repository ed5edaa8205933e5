"""The demonstration: a tree of files to a real Kafka and back, compared byte for byte."""
