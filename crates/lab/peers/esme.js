"use strict";
// An ESME on npm smpp: node esme.js CONTROL_PORT
const smpp = require("smpp");
const { describe, message } = require("./control.js");

let session;

const tell = require("./control.js")({
  bind: command => {
    session = smpp.connect({ url: `smpp://127.0.0.1:${command.port}` }, () => {
      session.socket.setNoDelay(true);
      const account = { system_id: command.system_id, password: command.password };
      session["bind_" + command.mode](account, answer => {
        tell({ event: "bound", status: answer.command_status, version: answer.sc_interface_version });
      });
    });
    session.on("deliver_sm", pdu => {
      tell({ event: "delivered", ...describe(pdu) });
      session.send(pdu.response());
    });
    session.on("enquire_link", pdu => session.send(pdu.response()));
    session.on("close", () => tell({ event: "closed" }));
    session.on("error", error => tell({ event: "error", text: error.message }));
  },
  submit: command => session.submit_sm(message(command), answer => {
    tell({ event: "submitted", number: command.number, status: answer.command_status, id: answer.message_id });
  }),
  enquire: () => session.enquire_link({}, answer => tell({ event: "enquired", status: answer.command_status })),
  unbind: () => session.unbind({}, answer => tell({ event: "unbound", status: answer.command_status })),
});
tell({ event: "ready" });
