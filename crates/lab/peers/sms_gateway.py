"""A client that others wrote (PyPI `android-sms-gateway`) against an app at argv[1]; says as one JSON object what it understood."""

import datetime
import json
import sys

from android_sms_gateway import client, domain, enums, errors

url, user, password = sys.argv[1:4]
since = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
until = datetime.datetime(2040, 1, 1, tzinfo=datetime.timezone.utc)
said = {}
with client.APIClient(user, password, base_url=url) as api:
    said["health"] = api.health_check().status.value
    message = domain.Message(
        id="ours-1",
        phone_numbers=["+447700900123"],
        text_message=domain.TextMessage(text="hello"),
    )
    said["sent"] = api.send(message).state.value
    said["state"] = api.get_state("ours-1").state.value
    try:
        api.send(message)
    except errors.APIError as error:
        said["again"] = error.status_code
    hook = api.create_webhook(
        domain.Webhook(id="h", url="https://example.org/hook", event=enums.WebhookEvent.SMS_RECEIVED)
    )
    said["hook"] = [hook.id, hook.event.value]
    said["hooks"] = len(api.get_webhooks())
    api.delete_webhook("h")
    said["hooks_left"] = len(api.get_webhooks())
    api.refresh_inbox(domain.InboxRefreshRequest(since=since, until=until))
    # The client writes `True`, which the app refuses: it takes `true`.
    only = domain.InboxQueryFilter(include_attachments="true")
    listed = api.list_inbox_messages(inbox_filter=only)
    said["inbox"] = [[item.message_type, item.sender, item.content_preview] for item in listed]
    mms = [item for item in listed if item.attachments][0]
    said["attachment"] = api.download_attachment(mms.id, mms.attachments[0].part_id).hex()
    said["devices"] = [device.id for device in api.list_devices()]
with client.APIClient(user, "wrong", base_url=url) as api:
    try:
        api.get_webhooks()
    except errors.APIError as error:
        said["wrong_password"] = error.status_code
print(json.dumps(said))
