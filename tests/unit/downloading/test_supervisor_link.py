"""A fetcher's end of the channel to its supervisor."""

from __future__ import annotations

import logging
from contextlib import closing

from dfud.downloading.supervisor_link import SupervisorLink
from dfud.messages import FromFetcher, Notice, ToFetcher
from dfud.processes import links
from dfud.processes.channel import Channel


def test_only_lines_that_are_logged_are_sent() -> None:
    theirs: Channel[ToFetcher, FromFetcher]
    theirs, ours = Channel.pair(links.FETCHER)
    with closing(theirs), closing(ours):
        link = SupervisorLink(ours, print, print, print, logging.INFO)
        link.report(logging.DEBUG, "f is complete", b"f")
        link.report(logging.INFO, "g is left", b"g", "it is odd")
        link.send()
        assert list(theirs.receive(wait=False)) == [Notice(logging.INFO, "g is left", b"g", "it is odd")]
