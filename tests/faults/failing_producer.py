"""Run dfud with producers that get fatal errors: ``failing_producer.py EVERY TIMES python -m dfud ARGUMENT...``.

librdkafka's own ``rd_kafka_test_fatal_error`` raises the error after EVERY messages, at most TIMES times in each
process; its consequences are real.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, ClassVar
from unittest import mock

from confluent_kafka import KafkaError, Producer

from dfud.commands.main import main
from dfud.kafka import quick_producer

EVERY, TIMES = int(sys.argv[1]), int(sys.argv[2])


class FailingProducer(Producer):
    """Gets a fatal error after EVERY messages."""

    failures: ClassVar[int] = 0  # in this process

    def __init__(self, properties: dict[str, Any]) -> None:
        super().__init__(properties)
        self._remaining = EVERY

    def produce(self, *arguments: Any, **named: Any) -> None:
        super().produce(*arguments, **named)
        self._remaining -= 1
        if self._remaining == 0 and FailingProducer.failures < TIMES:
            FailingProducer.failures += 1
            _fail_for_good(self)


def _fail_for_good(client: Producer) -> None:
    with open("/proc/self/maps") as maps:
        library = ctypes.CDLL(next(line.split()[-1] for line in maps if "librdkafka" in line))
    # The handle is the first field in the object of the C extension.
    handle = ctypes.c_void_p.from_address(id(client) + object.__basicsize__)
    library.rd_kafka_test_fatal_error.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
    library.rd_kafka_test_fatal_error(handle, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, b"injected")


if __name__ == "__main__":
    mock.patch.object(quick_producer, "Producer", FailingProducer).start()
    sys.argv = ["dfud", *sys.argv[sys.argv.index("dfud") + 1 :]]
    main()
