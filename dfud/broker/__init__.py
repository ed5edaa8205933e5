"""A real single-node Apache Kafka for tests, demonstrations and first steps."""
