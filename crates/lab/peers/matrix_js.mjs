// A Matrix client with encryption on matrix-js-sdk: node matrix_js.mjs CONTROL_PORT HOMESERVER USER PASSWORD
import { createConnection } from "node:net";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [port, baseUrl, userId, password] = process.argv.slice(2);
const sdk = await import(pathToFileURL(`${process.env.MATRIX_JS}/node_modules/matrix-js-sdk/lib/index.js`).href);
const { logger } = await import(pathToFileURL(`${process.env.MATRIX_JS}/node_modules/matrix-js-sdk/lib/logger.js`).href);
logger.setLevel?.("silent");

const socket = createConnection({ host: "127.0.0.1", port: Number(port) });
const tell = event => socket.write(JSON.stringify(event) + "\n");

const login = await sdk.createClient({ baseUrl }).loginRequest({
  type: "m.login.password", identifier: { type: "m.id.user", user: userId }, password,
});
// The key of the account's secrets, once it is made.
let opens;
const client = sdk.createClient({
  baseUrl, userId: login.user_id, deviceId: login.device_id, accessToken: login.access_token,
  cryptoCallbacks: {
    getSecretStorageKey: async ({ keys }) => {
      const id = Object.keys(keys).find(id => id === opens?.[0]);
      return id ? opens : null;
    },
    cacheSecretStorageKey: (id, _info, key) => { opens = [id, key]; },
  },
});
await client.initRustCrypto({ useIndexedDB: false });
const crypto = client.getCrypto();

const said = event => tell({
  event: "message", room: event.getRoomId(), id: event.getId(), sender: event.getSender(), content: event.getContent(),
  encrypted: event.isEncrypted(),
});
client.on("Room.timeline", (event, _room, toStart) => {
  if (!toStart && event.getType() === "m.room.message") said(event);
});
client.on("Event.decrypted", event => event.getType() === "m.room.message" && !event.isDecryptionFailure() && said(event));

client.on("Room.myMembership", (room, membership) => {
  if (membership === "invite") tell({ event: "invited", room: room.roomId });
});

// Emoji verification: it tells `pictures`, is told whether they are the `same` or `different`, and tells `verified`.
let pictures;
const compare = async (request, first) => {
  const ready = 3, started = 4;
  if (!first) await request.accept();
  while (request.phase < (first ? ready : started)) await new Promise(done => request.once("change", done));
  const verifier = request.verifier ?? await request.startVerification("m.sas.v1");
  verifier.on("show_sas", shown => {
    pictures = shown;
    tell({ event: "pictures", pictures: shown.sas.emoji.map(([symbol]) => symbol) });
  });
  try {
    await verifier.verify();
    tell({ event: "verified" });
  } catch (error) {
    tell({ event: "unverified", text: String(error) });
  }
};
client.on("crypto.verificationRequestReceived", request => compare(request, false).catch(
  error => tell({ event: "error", text: String(error) })));

const actions = {
  join: async command => {
    await client.joinRoom(command.room);
    // Until the state is there, an encrypted room cannot be told from another.
    const known = () => client.getRoom(command.room)?.currentState.getStateEvents("m.room.create", "");
    while (client.getRoom(command.room)?.getMyMembership() !== "join" || !known()) await new Promise(done => setTimeout(done, 50));
    tell({ event: "joined", room: command.room, encrypted: client.getRoom(command.room).hasEncryptionStateEvent() });
  },
  react: async command => {
    const relates = { rel_type: "m.annotation", event_id: command.id, key: command.key };
    const answer = await client.sendEvent(command.room, "m.reaction", { "m.relates_to": relates });
    tell({ event: "reacted", id: answer.event_id });
  },
  // An encrypted chat with one other user, once they are in it.
  direct: async command => {
    const { room_id } = await client.createRoom({
      is_direct: true, preset: "trusted_private_chat", invite: [command.user],
      initial_state: [{ type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } }],
    });
    while (client.getRoom(room_id)?.getMember(command.user)?.membership !== "join") {
      await new Promise(done => setTimeout(done, 50));
    }
    tell({ event: "created", room: room_id });
  },
  send: async command => {
    const answer = await client.sendEvent(command.room, "m.room.message", { msgtype: "m.text", body: command.body });
    tell({ event: "sent", id: answer.event_id });
  },
  // Whom a user's devices are signed by, and what the client would warn of at an event.
  devices: async command => {
    const devices = (await crypto.getUserDeviceInfo([command.user], true)).get(command.user) ?? new Map();
    const list = [];
    for (const id of devices.keys()) {
      const status = await crypto.getDeviceVerificationStatus(command.user, id);
      list.push({ id, signed: status?.signedByOwner ?? false });
    }
    tell({ event: "devices", user: command.user, devices: list });
  },
  // An identity of one's own, which others can verify.
  identity: async () => {
    await crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: upload => upload({
      type: "m.login.password", identifier: { type: "m.id.user", user: userId }, password,
    }) });
    tell({ event: "identity" });
  },
  // A key that opens that identity from another session.
  recovery: async () => {
    const key = await crypto.createRecoveryKeyFromPassphrase();
    await crypto.bootstrapSecretStorage({ createSecretStorageKey: async () => key, setupNewKeyBackup: true });
    tell({ event: "recovery", key: key.encodedPrivateKey });
  },
  echo: () => tell({ event: "echo" }),
  verify: async command => {
    const request = command.room
      ? await crypto.requestVerificationDM(command.user, command.room)
      : await crypto.requestOwnUserVerification();
    await compare(request, true);
  },
  same: () => pictures.confirm(),
  different: () => pictures.mismatch(),
  trust: async command => {
    const status = await crypto.getUserVerificationStatus(command.user);
    tell({ event: "trust", user: command.user, verified: status.isVerified() });
  },
  warning: async command => {
    const event = client.getRoom(command.room).findEventById(command.id);
    const info = await crypto.getEncryptionInfoForEvent(event);
    tell({ event: "warning", id: command.id, colour: info?.shieldColour, reason: info?.shieldReason });
  },
};

actions.rings = command => {
  const event = client.getRoom(command.room).findEventById(command.id);
  tell({ event: "rings", id: command.id, rings: client.getPushActionsForEvent(event, true)?.notify ?? false });
};

client.once("sync", () => tell({ event: "ready", user: login.user_id, device: login.device_id }));
await client.startClient({ initialSyncLimit: 50 });
createInterface({ input: socket }).on("line", async line => {
  const command = JSON.parse(line);
  try {
    await actions[command.do](command);
  } catch (error) {
    tell({ event: "error", text: String(error) });
  }
});
socket.on("close", () => process.exit(0));
