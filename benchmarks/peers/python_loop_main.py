"""The obvious program: a loop over files and chunks with confluent-kafka that records nothing.

usage: python_loop_main.py BROKERS TOPIC DIR CHUNK_SIZE [PROPERTY=VALUE...]
"""

from __future__ import annotations

import os
import sys

from confluent_kafka import Producer


def main(brokers: str, topic: str, root: str, chunk_size: int, properties: list[str]) -> int:
    """Send all files below `root`; return the exit status."""
    failed = []

    def on_delivery(error: object, _message: object) -> None:
        if error is not None:
            failed.append(error)

    producer = Producer({"bootstrap.servers": brokers, **dict(item.split("=", 1) for item in properties)})
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name != "LOGS"]
        for name in names:
            path = os.path.join(folder, name)
            key = os.path.relpath(path, root)
            with open(path, "rb") as file:
                while chunk := file.read(chunk_size):
                    while True:
                        try:
                            producer.produce(topic, chunk, key, on_delivery=on_delivery)
                            break
                        except BufferError:
                            producer.poll(0.01)
                    producer.poll(0)
    producer.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5:]))
