"""A Matrix client with encryption on matrix-nio: python matrix_nio.py CONTROL_PORT HOMESERVER USER PASSWORD FOLDER

It trusts every device, since nobody is here to compare keys."""

import asyncio
import io
import json
import logging
import sys
from base64 import b64decode, b64encode
from uuid import uuid4

from nio import (Api, AsyncClient, AsyncClientConfig, InviteMemberEvent, MegolmEvent, RoomMessage, RoomMemberEvent,
                 ToDeviceResponse)
from nio.crypto.attachments import decrypt_attachment

logging.disable(logging.WARNING)


class Client:
    def __init__(self, writer, homeserver, user, folder):
        self.writer = writer
        config = AsyncClientConfig(encryption_enabled=True, store_sync_tokens=True)
        self.nio = AsyncClient(homeserver, user, store_path=folder, config=config)
        self.held = []

    def tell(self, event, **more):
        self.writer.write((json.dumps({"event": event, **more}) + "\n").encode())

    async def start(self, password):
        answer = await self.nio.login(password, device_name="nio")
        # Before anything is sent to it, so that nobody meets a device without keys.
        await self.nio.sync(timeout=0, full_state=True)
        await self.nio.keys_upload() if self.nio.should_upload_keys else None
        self.nio.add_event_callback(self.message, RoomMessage)
        self.nio.add_event_callback(self.shut, MegolmEvent)
        self.nio.add_event_callback(self.invited, InviteMemberEvent)
        self.nio.add_event_callback(self.member, RoomMemberEvent)
        self.tell("ready", user=self.nio.user_id, device=answer.device_id)
        asyncio.create_task(self.nio.sync_forever(timeout=5000))

    def message(self, room, event):
        self.tell("message", room=room.room_id, id=event.event_id, sender=event.sender, content=event.source["content"],
                  encrypted=event.decrypted, session=event.session_id)

    def shut(self, room, event):
        self.tell("shut", room=room.room_id, id=event.event_id, sender=event.sender)

    def invited(self, room, event):
        if event.state_key == self.nio.user_id:
            self.tell("invited", room=room.room_id)

    def member(self, room, event):
        self.tell("member", room=room.room_id, user=event.state_key, membership=event.membership)

    async def do(self, command):
        match command["do"]:
            case "join":
                await self.nio.join(command["room"])
                while command["room"] not in self.nio.rooms or not self.nio.rooms[command["room"]].members_synced:
                    if command["room"] in self.nio.rooms:
                        await self.nio.joined_members(command["room"])
                    await asyncio.sleep(0.05)
                self.tell("joined", room=command["room"], encrypted=self.nio.rooms[command["room"]].encrypted)
            case "create":
                answer = await self.nio.room_create(is_direct=True, invite=command["invite"], initial_state=[
                    {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}])
                self.tell("created", room=answer.room_id)
            case "leave":
                await self.nio.room_leave(command["room"])
                self.tell("left", room=command["room"])
            case "send":
                await self.send(command)
            case "react":
                content = {"m.relates_to": {"rel_type": "m.annotation", "event_id": command["id"], "key": command["key"]}}
                answer = await self.nio.room_send(command["room"], "m.reaction", content)
                self.tell("reacted", id=answer.event_id)
            case "burst":
                # All at once, as fast as they go.
                await self.ready(command["room"])
                for number in range(command["count"]):
                    await self.send({**command, "body": f"{command['body']} {number}"}, quietly=True)
                self.tell("burst")
            case "redact":
                answer = await self.nio.room_redact(command["room"], command["id"])
                self.tell("redacted", id=answer.event_id)
            case "read":
                await self.nio.update_receipt_marker(command["room"], command["id"])
                self.tell("read")
            case "typing":
                await self.nio.room_typing(command["room"], command["active"])
                self.tell("typing")
            case "file":
                data = b64decode(command["data"])
                answer, keys = await self.nio.upload(lambda *_: io.BytesIO(data), content_type=command["mime"],
                                                     filename=command["name"], encrypt=True, filesize=len(data))
                file = {**keys, "url": answer.content_uri}
                more = {"msgtype": command["kind"], "file": file, "filename": command["name"],
                        "info": {"mimetype": command["mime"], "size": len(data)}}
                await self.send({**command, "more": more})
            case "download":
                file = command["file"]
                answer = await self.nio.download(file["url"])
                data = decrypt_attachment(answer.body, file["key"]["k"], file["hashes"]["sha256"], file["iv"])
                self.tell("downloaded", data=b64encode(data).decode())
            case "hold":
                # The key of a new session is kept back, and the message goes.
                room = command["room"]
                await self.ready(room)
                missing = self.nio.get_missing_sessions(room)
                if missing:
                    await self.nio.keys_claim(missing)
                self.nio.olm.create_outbound_group_session(room)
                users = list(self.nio.rooms[room].users)
                shares = self.nio.olm.share_group_session_parallel(room, users, ignore_unverified_devices=True)
                self.held = [messages for _, messages in shares]
                self.nio.olm.outbound_group_sessions[room].shared = True
                await self.send(command)
            case "release":
                for messages in self.held:
                    method, path, data = Api.to_device(self.nio.access_token, "m.room.encrypted", messages, str(uuid4()))
                    await self.nio._send(ToDeviceResponse, method, path, data, response_data=(None,))
                self.held = []
                self.tell("released")

    async def ready(self, room):
        """Waits until everybody's devices are known."""
        for _ in range(200):
            if not self.nio.should_query_keys and self.nio.rooms[room].members_synced:
                return
            if self.nio.should_query_keys:
                await self.nio.keys_query()
            if not self.nio.rooms[room].members_synced:
                await self.nio.joined_members(room)
            await asyncio.sleep(0.05)

    async def send(self, command, quietly=False):
        await self.ready(command["room"])
        content = {"msgtype": "m.text", "body": command["body"], **command.get("more", {})}
        answer = await self.nio.room_send(command["room"], "m.room.message", content, ignore_unverified_devices=True)
        if not quietly:
            self.tell("sent", id=answer.event_id)


async def main(port, homeserver, user, password, folder):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port), limit=16 << 20)
    client = Client(writer, homeserver, user, folder)
    await client.start(password)
    while line := await reader.readline():
        try:
            await client.do(json.loads(line))
        except Exception as error:
            client.tell("error", text=repr(error))


asyncio.run(main(*sys.argv[1:]))
