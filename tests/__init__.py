"""The tests of dfud: unit tests, integration tests with a real Kafka, and the fault matrix."""
