"""Twilio's own SDK (PyPI `twilio`). `client URL SID TOKEN` drives the API at URL and says as one JSON object what it understood;
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
        return super().request(method, url.replace("https://api.twilio.com", self.base), *arguments, **named)


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
else:
    sign(sys.argv[2])
