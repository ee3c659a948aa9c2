// A Matrix client of one page, enough to text from: rooms, messages, and what became of each message.

const session = await (await fetch("session")).json();
const rooms = new Map();
let current = null;
let transaction = Date.now();
const $ = (id) => document.getElementById(id);

async function api(method, path, body) {
  const answer = await fetch(`${session.homeserver}/_matrix/client/v3/${path}`, {
    method,
    headers: { Authorization: `Bearer ${session.token}` },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error ?? answer.statusText);
  return content;
}

const react = (room, event, key) =>
  api("PUT", `rooms/${encodeURIComponent(room)}/send/m.reaction/page${transaction++}`,
    { "m.relates_to": { rel_type: "m.annotation", event_id: event, key } });

// Pictures as the page shows them; the homeserver gives them to its users alone.
const pictures = new Map();

async function picture(uri) {
  if (!pictures.has(uri)) {
    const address = `${session.homeserver}/_matrix/client/v1/media/download/${uri.slice("mxc://".length)}`;
    pictures.set(uri, fetch(address, { headers: { Authorization: `Bearer ${session.token}` } })
      .then((answer) => answer.ok ? answer.blob() : Promise.reject(new Error("the picture is not there")))
      .then((blob) => URL.createObjectURL(blob)));
  }
  return pictures.get(uri);
}

async function sendPicture(room, file, words) {
  const answer = await fetch(`${session.homeserver}/_matrix/media/v3/upload?filename=${encodeURIComponent(file.name)}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${session.token}`, "Content-Type": file.type },
    body: file,
  });
  if (!answer.ok) throw new Error("the homeserver does not take the picture");
  const { content_uri: url } = await answer.json();
  const content = { msgtype: "m.image", body: words || file.name, filename: file.name, url, info: { mimetype: file.type, size: file.size } };
  return api("PUT", `rooms/${encodeURIComponent(room)}/send/m.room.message/page${transaction++}`, content);
}

const send = (room, body) =>
  api("PUT", `rooms/${encodeURIComponent(room)}/send/m.room.message/page${transaction++}`, { msgtype: "m.text", body });

function room(id) {
  if (!rooms.has(id)) rooms.set(id, { id, state: new Map(), events: [], statuses: new Map(), reactions: new Map(), readBy: new Map(), at: 0 });
  return rooms.get(id);
}

function take(room, event) {
  if (event.state_key !== undefined) room.state.set(`${event.type} ${event.state_key}`, event.content);
  const about = event.content?.["m.relates_to"]?.event_id;
  if (event.type === "com.beeper.message_send_status" && about) room.statuses.set(about, event.content);
  const annotation = event.type === "m.reaction" && event.content["m.relates_to"];
  if (annotation) {
    const given = room.reactions.get(annotation.event_id) ?? new Map();
    given.set(annotation.key, new Set(given.get(annotation.key)).add(event.sender));
    room.reactions.set(annotation.event_id, given);
  }
  if (event.type !== "m.room.message") return;
  const replaces = event.content["m.relates_to"]?.rel_type === "m.replace" && about;
  const replaced = replaces && room.events.find((old) => old.event_id === about);
  if (replaced) replaced.content = event.content["m.new_content"] ?? event.content;
  else room.events.push(event);
  room.at = event.origin_server_ts;
}

function takeReceipts(room, events) {
  for (const { type, content } of events) {
    if (type !== "m.receipt") continue;
    for (const [event, kinds] of Object.entries(content)) {
      for (const user of Object.keys(kinds["m.read"] ?? {})) if (user !== session.user) room.readBy.set(event, user);
    }
  }
}

async function takeSync(news) {
  for (const [id, joined] of Object.entries(news.rooms?.join ?? {})) {
    const known = room(id);
    for (const event of [...(joined.state?.events ?? []), ...(joined.timeline?.events ?? [])]) take(known, event);
    takeReceipts(known, joined.ephemeral?.events ?? []);
    if (joined.timeline?.events?.some((event) => event.type === "m.room.message")) current ??= id;
  }
  for (const id of Object.keys(news.rooms?.leave ?? {})) {
    rooms.delete(id);
    if (current === id) current = null;
  }
  for (const [id, invited] of Object.entries(news.rooms?.invite ?? {})) {
    await api("POST", `rooms/${encodeURIComponent(id)}/join`, {}).catch(tell);
    const create = invited.invite_state?.events?.find((event) => event.type === "m.room.create");
    if (wanted && create?.content.type !== "m.space") { current = id; wanted = false; }
  }
}

// ── What is shown

const person = (room, user) => room.state.get(`m.room.member ${user}`)?.displayname ?? user;

function title(room) {
  const named = room.state.get("m.room.name ")?.name;
  if (named) return named;
  const others = [...room.state.keys()].filter((key) => key.startsWith("m.room.member ") && !key.endsWith(session.user));
  return others.map((key) => person(room, key.slice("m.room.member ".length))).join(", ") || "Empty room";
}

function fate(room, event) {
  const status = room.statuses.get(event.event_id);
  if (!status) return [room.readBy.has(event.event_id) ? "taken over by the gateway" : "sent to the homeserver", false];
  switch (status.status) {
    case "SUCCESS": return [status.delivered_to_users?.length ? "✓✓ delivered to the phone" : "✓ handed to the carrier", false];
    case "PENDING": return [status.message ?? "on its way …", false];
    default: return [status.message ?? `failed: ${status.reason ?? status.status}`, true];
  }
}

function element(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function bubble(room, event) {
  const mine = event.sender === session.user;
  const notice = event.content.msgtype === "m.notice";
  const image = event.content.msgtype === "m.image" && event.content.url?.startsWith("mxc://");
  // The body of a picture without words is its name.
  const words = image && event.content.body === (event.content.filename ?? event.content.body) ? "" : event.content.body ?? "(deleted)";
  const item = element("li", words, notice ? "notice" : mine ? "mine" : "");
  if (image) {
    const shown = document.createElement("img");
    shown.alt = event.content.body ?? "A picture";
    shown.onload = () => { $("timeline").scrollTop = $("timeline").scrollHeight; };
    picture(event.content.url).then((address) => { shown.src = address; }, () => { shown.replaceWith("[a picture that is not there]"); });
    item.prepend(shown);
  }
  const time = new Date(event.origin_server_ts).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  if (mine) {
    const [words, bad] = fate(room, event);
    item.append(element("small", `${time} · ${words}`, bad ? "bad" : ""));
  } else if (!notice) {
    item.append(element("small", `${time} · ${person(room, event.sender)}`));
  }
  const given = [...(room.reactions.get(event.event_id) ?? new Map())];
  if (given.length) {
    const row = element("span", "", "reactions");
    for (const [key, users] of given) {
      const button = element("button", users.size > 1 ? `${key} ${users.size}` : key);
      button.setAttribute("aria-pressed", users.has(session.user));
      button.onclick = () => users.has(session.user) || react(room.id, event.event_id, key).catch(tell);
      row.append(button);
    }
    item.append(row);
  }
  return item;
}

function show() {
  const sorted = [...rooms.values()].filter((room) => !isSpace(room)).sort((a, b) => b.at - a.at);
  $("rooms").replaceChildren(...sorted.map((room) => {
    const button = element("button", "");
    button.append(element("b", title(room)), element("span", room.events.at(-1)?.content.body ?? ""));
    if (room.id === current) button.setAttribute("aria-current", "true");
    button.onclick = () => { current = room.id; show(); };
    return button;
  }));
  const open = rooms.get(current);
  for (const field of $("write").elements) field.disabled = !open;
  if (!open) return;
  $("name").textContent = title(open);
  $("topic").textContent = open.state.get("m.room.topic ")?.topic ?? "";
  $("timeline").replaceChildren(...open.events.map((event) => bubble(open, event)));
  $("timeline").scrollTop = $("timeline").scrollHeight;
}

const isSpace = (room) => room.state.get("m.room.create ")?.type === "m.space";

function tell(error) {
  $("me").textContent = error.message;
}

// ── What is done

let wanted = false;

const botIsIn = (room) => room.state.get(`m.room.member ${session.bot}`)?.membership === "join";

// The room with the bot alone, made when there is none.
async function managementRoom() {
  const known = rooms.get(localStorage.getItem(session.bot));
  if (known && botIsIn(known)) return known.id;
  const made = await api("POST", "createRoom", { is_direct: true, preset: "trusted_private_chat", invite: [session.bot] });
  localStorage.setItem(session.bot, made.room_id);
  for (let tries = 0; tries < 100; tries++) {
    if (botIsIn(room(made.room_id))) return made.room_id;
    await new Promise((later) => setTimeout(later, 100));
  }
  throw new Error("the bot does not join: does the gateway run?");
}

$("start").onsubmit = async (submitted) => {
  submitted.preventDefault();
  wanted = true;
  try {
    const management = await managementRoom();
    current = management;
    await send(management, `start-chat ${$("number").value.trim()}`);
    $("number").value = "";
  } catch (error) { tell(error); }
};

$("write").onsubmit = async (submitted) => {
  submitted.preventDefault();
  const body = $("text").value.trim();
  if (!body || !current) return;
  $("text").value = "";
  await send(current, body).catch(tell);
};

$("picture").onchange = async () => {
  const [file] = $("picture").files;
  $("picture").value = "";
  if (!file || !current) return;
  const words = $("text").value.trim();
  $("text").value = "";
  await sendPicture(current, file, words).catch(tell);
};

$("text").onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); $("write").requestSubmit(); }
};

$("me").textContent = session.user;
let since;
for (;;) {
  try {
    const filter = encodeURIComponent(JSON.stringify({ room: { timeline: { limit: 500 } } }));
    const news = await api("GET", `sync?filter=${filter}&timeout=${since ? 25000 : 0}${since ? `&since=${since}` : ""}`);
    await takeSync(news);
    since = news.next_batch;
    $("me").textContent = session.user;
    show();
  } catch (error) {
    tell(error);
    await new Promise((later) => setTimeout(later, 1000));
  }
}
