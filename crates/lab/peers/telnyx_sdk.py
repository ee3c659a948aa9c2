"""Telnyx's own SDK (PyPI `telnyx`). `client URL KEY` drives the API at URL and says as one JSON object what it understood; `webhook KEY`
reads `{"body": …, "timestamp": …, "signature": …}` from standard input and says what it verified and understood."""

import json
import sys

import telnyx
from telnyx.lib.webhook_verification import WebhookVerificationError, verify_webhook_signature
from telnyx.types.inbound_message_webhook_event import InboundMessageWebhookEvent


def refused(call):
    try:
        call()
        return None
    except telnyx.APIStatusError as error:
        return [error.status_code, error.body["errors"][0]["code"]]


def client(base, key):
    api = telnyx.Telnyx(api_key=key, base_url=base + "/v2", max_retries=0)
    own, to = "+13125550001", "+13125550102"
    said = {}
    sent = api.messages.send(to=to, from_=own, text="hello", media_urls=["https://example.org/a.png"], idempotency_key="k1").data
    said["sent"] = [sent.direction, sent.type, sent.to[0].phone_number, sent.to[0].status, sent.from_.phone_number, sent.parts]
    again = api.messages.send(to=to, from_=own, text="hello", media_urls=["https://example.org/a.png"], idempotency_key="k1").data
    said["again_is_the_same"] = again.id == sent.id
    said["other_body"] = refused(lambda: api.messages.send(to=to, from_=own, text="other", idempotency_key="k1"))
    group = api.messages.send_group_mms(from_=own, to=[to, "+13125550103"], text="all").data
    said["group"] = [group.type, [one.phone_number for one in group.to]]
    said["fetched"] = api.messages.retrieve(sent.id).data.text
    said["no_number"] = refused(lambda: api.messages.send(to="abc", from_=own, text="x"))
    said["no_sender"] = refused(lambda: api.messages.send(to=to, from_="+13125550099", text="x"))
    said["profiles"] = [profile.name for profile in api.messaging_profiles.list()]
    wrong = telnyx.Telnyx(api_key="wrong", base_url=base + "/v2", max_retries=0)
    said["wrong_key"] = refused(lambda: wrong.messages.send(to=to, from_=own, text="x"))
    print(json.dumps(said))


def webhook(key):
    asked = json.load(sys.stdin)
    headers = {"Telnyx-Timestamp": asked["timestamp"], "Telnyx-Signature-Ed25519": asked["signature"]}

    def verified(body):
        try:
            verify_webhook_signature(body, headers, key)
            return True
        except WebhookVerificationError:
            return False

    event = InboundMessageWebhookEvent.model_validate_json(asked["body"]).data
    payload = event.payload
    print(
        json.dumps(
            {
                "verified": verified(asked["body"]),
                "altered": verified(asked["body"] + " "),
                "kind": event.event_type,
                "from": payload.from_.phone_number,
                "to": [one.phone_number for one in payload.to],
                "cc": [one.phone_number for one in payload.cc],
                "text": payload.text,
                "media": [file.content_type for file in payload.media],
            }
        )
    )


if sys.argv[1] == "client":
    client(*sys.argv[2:4])
else:
    webhook(sys.argv[2])
