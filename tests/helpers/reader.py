"""The demonstration's reader, which shares no code with the uploader, checks the tests' uploads, too."""

from dfud.demo.reader import File, Message, NotAsDescribedError, read_topic, rebuild

__all__ = ["File", "Message", "NotAsDescribedError", "read_topic", "rebuild"]
