"""What dfud asks of Kafka before a message is sent: configuration, defaults, the topic."""
