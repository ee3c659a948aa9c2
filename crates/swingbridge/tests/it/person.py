"""A person at a Matrix client that others wrote: accepts every invitation and answers every text from a phone once.

Called with the homeserver's address, a user and a password. Says on standard output what it sees, as JSON, a line for each.
"""

import asyncio
import json
import sys

from nio import AsyncClient, InviteMemberEvent, RoomMessageText, UnknownEvent


def tell(**what):
    print(json.dumps(what), flush=True)


async def main(address, user, password):
    client = AsyncClient(address, user)
    await client.login(password)
    answered = set()

    async def invited(room, event):
        if event.membership == "invite" and event.state_key == user:
            await client.join(room.room_id)

    async def said(room, event):
        if not event.sender.startswith("@sms_") or event.event_id in answered:
            return
        answered.add(event.event_id)
        tell(saw=event.body, by=room.user_name(event.sender), room=room.display_name)
        content = {"msgtype": "m.text", "body": f"{event.body}? Yes!"}
        await client.room_send(room.room_id, "m.room.message", content)

    async def status(room, event):
        if event.type == "com.beeper.message_send_status":
            tell(status=event.source["content"])

    client.add_event_callback(invited, InviteMemberEvent)
    client.add_event_callback(said, RoomMessageText)
    client.add_event_callback(status, UnknownEvent)
    tell(ready=True)
    await client.sync_forever(timeout=10000, full_state=True)


asyncio.run(main(*sys.argv[1:]))
