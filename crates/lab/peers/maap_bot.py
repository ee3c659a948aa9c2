"""A bot that others wrote (PyPI `rcs-chatbot`) on a platform at argv[1], as the bot argv[2] with the token argv[3].

Says one JSON object to a line: where its webhook is, then what it understood of the answers, and of as many events as argv[4]."""

import http.server
import json
import sys
import threading

import rcs_chatbot

url, bot, token, wanted = sys.argv[1:5]
chatbot = rcs_chatbot.Chatbot(url, bot, token)
heard = []
enough = threading.Event()


def hear(kind):
    @chatbot.registerEventHandler(kind)
    def handler(event):
        heard.append([kind.value, event["messageContact"]["userContact"], event["RCSMessage"]])
        if len(heard) >= int(wanted):
            enough.set()


for kind in rcs_chatbot.EventType:
    hear(kind)


class Webhook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        chatbot.processEvent(json.loads(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(json.dumps({"webhook": "http://127.0.0.1:%d/" % server.server_port}), flush=True)
sys.stdin.readline()

bob = rcs_chatbot.MessageContact("+447700900123", None)
buttons = rcs_chatbot.Suggestions()
buttons.addReply("Yes", "yes")
buttons.addUrlAction("Menu", "menu", "https://example.org/menu")
card = rcs_chatbot.Richcard()
card.setTitle("Table for two?")
card.setSuggestions(buttons)
carousel = rcs_chatbot.RichcardCarousel()
for title in ["One", "Two"]:
    one = rcs_chatbot.Richcard()
    one.setTitle(title)
    carousel.addRichcard(one)
file = rcs_chatbot.FileMessage("https://example.org/a.png")
file.setFileMIMEType("image/png")
place = rcs_chatbot.GeolocationPushMessage("51.5,-0.12")
answers = [chatbot.sendMessage(bob, "hello", buttons)]
answers += [chatbot.sendMessage(bob, content) for content in [card, carousel, file, place]]
said = {"ids": [answer["RCSMessage"]["msgId"] for answer in answers], "refused": []}
nobody = rcs_chatbot.MessageContact("+447700900999", None)
stranger = rcs_chatbot.Chatbot(url, bot, "another token")
for client, contact, content in [(chatbot, nobody, "hi"), (stranger, bob, "hi"), (chatbot, bob, "")]:
    try:
        client.sendMessage(contact, content)
    except rcs_chatbot.RequestFailed as error:
        said["refused"].append(str(error))
print(json.dumps(said), flush=True)
enough.wait(20)
print(json.dumps({"heard": heard}), flush=True)
