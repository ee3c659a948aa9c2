"use strict";
// An SMSC on npm smpp: node smsc.js CONTROL_PORT
const smpp = require("smpp");
const { describe, message } = require("./control.js");

let receipts = "text", refusals = { status: 0, times: 0 }, id = 0x5eed0000, late = 0;
const sessions = new Set();

const receiver = () => [...sessions].filter(session => session.receives).pop();

const deliver = (number, fields) => {
  receiver()?.deliver_sm(fields, answer => tell({ event: "answered", number, status: answer.command_status }));
};

const receipt = (pdu, messageId) => {
  const text = `id:${messageId} sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:`;
  deliver(-1, {
    source_addr: pdu.destination_addr, source_addr_ton: pdu.dest_addr_ton, source_addr_npi: pdu.dest_addr_npi,
    destination_addr: pdu.source_addr, dest_addr_ton: pdu.source_addr_ton, dest_addr_npi: pdu.source_addr_npi,
    esm_class: 4, data_coding: 0, short_message: Buffer.from(receipts === "text" ? text : ""),
    ...(receipts === "tlv" ? { receipted_message_id: messageId, message_state: 2 } : {}),
  });
};

const server = smpp.createServer(session => {
  sessions.add(session);
  session.socket.setNoDelay(true);
  session.on("close", () => { sessions.delete(session); tell({ event: "closed" }); });
  session.on("error", error => tell({ event: "error", text: error.message }));
  session.on("pdu", pdu => {
    const answer = fields => session.send(pdu.response(fields));
    if (pdu.command.startsWith("bind_") && !pdu.isResponse()) {
      const right = pdu.system_id === "swingbridge" && pdu.password === "secret";
      session.receives = right && pdu.command !== "bind_transmitter";
      answer({ command_status: right ? 0 : smpp.ESME_RINVPASWD, system_id: "npm" });
      tell({ event: "bound", kind: pdu.command, right, interface_version: pdu.interface_version });
    } else if (pdu.command === "submit_sm") {
      if (refusals.times > 0) {
        refusals.times -= 1;
        answer({ command_status: refusals.status });
        tell({ event: "refused", status: refusals.status });
        return;
      }
      const messageId = (id++).toString(16).toUpperCase();
      setTimeout(() => answer({ message_id: messageId }), late);
      tell({ event: "submitted", id: messageId, ...describe(pdu) });
      if (pdu.registered_delivery & 1 && receipts !== "none") setTimeout(() => receipt(pdu, messageId), 20 + late);
    } else if (pdu.command === "enquire_link" || pdu.command === "data_sm") {
      answer();
      tell({ event: pdu.command });
    } else if (pdu.command === "unbind") {
      answer();
      tell({ event: "unbind" });
      session.close();
    }
  });
});

const tell = require("./control.js")({
  deliver: command => deliver(command.number, message(command)),
  receipts: command => { receipts = command.form; },
  refuse: command => { refusals = { status: command.status, times: command.times }; },
  late: command => { late = command.milliseconds; },
  drop: () => sessions.forEach(session => session.destroy()),
  enquire: () => receiver()?.enquire_link({}, () => tell({ event: "enquired" })),
  unbind: () => receiver()?.unbind({}, () => tell({ event: "unbound" })),
});
server.listen(0, "127.0.0.1", () => tell({ event: "listening", port: server.address().port }));
