"""mautrix-python that does nothing with what comes: `python bench.py PORT HS_TOKEN`."""

import asyncio
import logging
import sys

from mautrix.appservice import AppService

logging.basicConfig(level=logging.WARNING)


async def main():
    port, token = int(sys.argv[1]), sys.argv[2]
    service = AppService(
        server="http://127.0.0.1:9",
        domain="localhost",
        as_token="as-token",
        hs_token=token,
        bot_localpart="smsbot",
        id="bench",
        state_store=None,
    )

    async def nothing(event):
        pass

    service.matrix_event_handler(nothing)
    await service.start("127.0.0.1", port)
    await asyncio.Event().wait()


asyncio.run(main())
