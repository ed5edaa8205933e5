"""The judge of the tests is that of the demonstration: a reader that shares no code with the uploader."""

from dfud.demo.reader import File, Message, NotAsDescribedError, read_topic, rebuild

__all__ = ["File", "Message", "NotAsDescribedError", "read_topic", "rebuild"]
