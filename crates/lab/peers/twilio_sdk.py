"""Twilio's own SDK (PyPI `twilio`). `client URL SID TOKEN` drives the API at URL and says as one JSON object what it understood;
`groups URL SID TOKEN SERVICE` its group texts and cards;
`sign TOKEN` signs each line of standard input, `{"url": …, "params": {…} or a text, "algorithm": …}`, and says whether it validates
`signature` where one is given."""

import json
import sys

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client


class Elsewhere(TwilioHttpClient):
    """Calls another host in place of Twilio's."""

    def __init__(self, base):
        super().__init__()
        self.base = base

    def request(self, method, url, *arguments, **named):
        for host in ("api", "conversations", "content"):
            url = url.replace(f"https://{host}.twilio.com", self.base)
        return super().request(method, url, *arguments, **named)


def refused(call):
    try:
        call()
        return None
    except TwilioRestException as error:
        return [error.status, error.code]


def client(base, sid, token):
    api = Client(sid, token, http_client=Elsewhere(base))
    to, own = "+15005550010", "+15005550001"
    said = {}
    sent = api.messages.create(
        to=to, from_=own, body="hello", media_url=["https://example.org/a.png"], validity_period=60, smart_encoded=False
    )
    said["sent"] = [sent.status, sent.direction, sent.to, sent.from_, sent.num_segments, sent.sid[:2]]
    said["dated"] = sent.date_created.isoformat()
    said["fetched"] = api.messages(sent.sid).fetch().body
    rcs = api.messages.create(to="rcs:" + to, messaging_service_sid="MGbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", body="rich")
    said["rcs"] = [rcs.to, rcs.from_]
    said["no_number"] = refused(lambda: api.messages.create(to="abc", from_=own, body="x"))
    said["no_sender"] = refused(lambda: api.messages.create(to=to, from_="+15005550099", body="x"))
    said["empty"] = refused(lambda: api.messages.create(to=to, from_=own, body=""))
    said["fallback"] = refused(lambda: api.messages.create(to=to, from_=own, fallback_from=own, body="x"))
    said["nothing"] = refused(lambda: api.messages("SM" + "9" * 32).fetch())
    listed = api.messages.list(to=own, page_size=1)
    said["listed"] = [[item.direction, item.from_, item.body, item.num_media] for item in listed]
    files = [file for item in listed if item.num_media != "0" for file in api.messages(item.sid).media.list()]
    said["media"] = [file.content_type for file in files]
    wrong = Client(sid, "wrong", http_client=Elsewhere(base))
    said["wrong_token"] = refused(lambda: wrong.messages(sent.sid).fetch())
    print(json.dumps(said))


def groups(base, sid, token, service):
    api = Client(sid, token, http_client=Elsewhere(base))
    own, bob, carol, dave = "+15005550001", "+13125550101", "+13125550102", "+13125550103"
    here = api.conversations.v1.services(service)
    said = {}

    def make(*people):
        participants = [{"messaging_binding": {"projected_address": own}}]
        participants += [{"messaging_binding": {"address": number}} for number in people]
        return here.conversation_with_participants.create(
            friendly_name="x", participant=[json.dumps(one) for one in participants]
        )

    made = make(bob, carol)
    said["made"] = [made.sid[:2], made.state, made.chat_service_sid == service]
    said["twice"] = refused(lambda: make(carol, bob))
    said["abroad"] = refused(lambda: make(bob, "+447700900123"))
    said["large"] = refused(lambda: make(*[f"+1312555020{n}" for n in range(10)]))
    group = here.conversations(made.sid)
    binding = lambda one: sorted((k, v) for k, v in one.messaging_binding.items() if v and k != "type")
    said["people"] = sorted(binding(one) for one in group.participants.list())
    joined = group.participants.create(messaging_binding_address=dave)
    said["joined"] = [joined.sid[:2], joined.messaging_binding["address"]]
    said["left"] = joined.delete()
    said["of_bob"] = [one.conversation_sid == made.sid for one in here.participant_conversations.list(address=bob)]
    message = group.messages.create(author=own, body="hello")
    said["message"] = [message.sid[:2], message.author, message.body, message.index]
    said["stranger"] = refused(lambda: group.messages.create(author="+13125550199", body="x"))
    said["no_media"] = refused(lambda: group.messages.create(author=own, media_sid="ME" + "9" * 32))
    said["receipts"] = sorted(
        [one.status, one.error_code, one.participant_sid[:2]] for one in group.messages(message.sid).delivery_receipts.list()
    )
    said["messages"] = [[one.author, one.body] for one in group.messages.list(order="desc")]
    said["fetched"] = [group.fetch().state, group.messages(message.sid).fetch().body]
    said["removed"] = group.delete()
    said["gone"] = refused(group.fetch)
    card = {
        "title": "Table?",
        "body": "Tonight",
        "actions": [{"type": "QUICK_REPLY", "title": "Yes", "id": "yes"}],
    }
    request = {"friendly_name": "x", "language": "en", "variables": {}, "types": {"twilio/card": card}}
    answer = api.request("POST", "https://content.twilio.com/v1/Content", data=request, headers={"Content-Type": "application/json"})
    template = json.loads(answer.text)["sid"]
    fetched = api.content.v1.contents(template).fetch()
    said["template"] = [fetched.sid[:2], fetched.types["twilio/card"]["actions"][0]["title"]]
    sent = api.messages.create(to="rcs:" + bob, from_="rcs:acme_x1y2z3_agent", content_sid=template)
    said["card"] = [sent.to, sent.status]
    said["template_removed"] = api.content.v1.contents(template).delete()
    said["no_template"] = refused(
        lambda: api.messages.create(to="rcs:" + bob, from_="rcs:acme_x1y2z3_agent", content_sid=template)
    )
    print(json.dumps(said))


def sign(token):
    validator = RequestValidator(token)
    for line in sys.stdin:
        asked = json.loads(line)
        url, params, algorithm = asked["url"], asked["params"], asked.get("algorithm")
        form = {} if isinstance(params, str) else params
        answer = {"signature": validator.compute_signature(url, form, algorithm)}
        if "signature" in asked:
            answer["valid"] = validator.validate(url, params, asked["signature"], algorithm)
        print(json.dumps(answer))


if sys.argv[1] == "client":
    client(*sys.argv[2:5])
elif sys.argv[1] == "groups":
    groups(*sys.argv[2:6])
else:
    sign(sys.argv[2])
