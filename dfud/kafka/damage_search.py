"""Finding where a batch that cannot be read ends: nothing says so but what can be read behind it."""

from __future__ import annotations


class DamageSearch:
    """Reads on from later and later offsets, then from between the last that failed and the first that did not.

    The caller reads from `probe`, says what came of it, and goes on until `is_over`. The first probe is the offset
    that failed: it may have been the network.
    """

    def __init__(self, first: int, end: int) -> None:
        """`first` could not be read; nothing lies at `end` or after."""
        self.first = first
        self.probe = first
        self._end = max(end, first + 1)
        self._bad = first - 1  # the last offset that is known to fail
        self._good: int | None = None  # the first that is known not to
        self._step = 1

    @property
    def is_over(self) -> bool:
        """Whether `probe` is where reading can go on; what lies between `first` and there cannot be read."""
        return self._good is not None and self._good - self._bad <= 1

    def on_failure(self, batch: int) -> None:
        """Note that nothing can be read from `probe`: the batch there, which begins at `batch`, is damaged.

        If `batch` is not known, it is `first`.
        """
        if batch > max(self._bad, self.first):
            self._good = min(batch, self.probe)  # another batch: what lies before it may be readable
        else:
            self._bad = self.probe
            if self._bad + 1 >= self._end:
                self._good = self._end
        self._choose()

    def on_success(self) -> None:
        """Note that what follows `probe` can be read."""
        self._good = self.probe
        self._choose()

    def _choose(self) -> None:
        if self._good is None:
            self.probe = min(self._bad + self._step, self._end - 1)
            self._step *= 2
        elif self.is_over:
            self.probe = self._good
        else:
            self.probe = (self._bad + self._good) // 2
