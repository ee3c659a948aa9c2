"use strict";
// What the scripts on npm smpp share.
module.exports = require("./lines.js");

const smpp = require("smpp");

// npm smpp turns the octets of a message into text by itself. We take the octets, and ask it for the text
// besides.
const filter = smpp.commands.submit_sm.params.short_message.filter;
delete smpp.commands.submit_sm.params.short_message.filter;
delete smpp.commands.deliver_sm.params.short_message.filter;
delete smpp.tlvs.message_payload.filter;

module.exports.describe = pdu => {
  const short = pdu.short_message ?? Buffer.alloc(0), payload = !short.length && !!pdu.message_payload;
  const octets = payload ? pdu.message_payload : short;
  const understood = filter.decode.call(pdu, octets);
  const optional = {};
  for (const name of Object.keys(smpp.tlvs)) {
    if (pdu[name] !== undefined && name !== "message_payload") {
      optional[name] = Buffer.isBuffer(pdu[name]) ? pdu[name].toString("hex") : pdu[name];
    }
  }
  return {
    source: pdu.source_addr, source_ton: pdu.source_addr_ton, source_npi: pdu.source_addr_npi,
    destination: pdu.destination_addr, destination_ton: pdu.dest_addr_ton, destination_npi: pdu.dest_addr_npi,
    esm_class: pdu.esm_class, data_coding: pdu.data_coding, registered_delivery: pdu.registered_delivery,
    validity_period: String(pdu.validity_period || ""), payload,
    hex: octets.toString("hex"), text: String(understood.message), optional,
  };
};

// A submit_sm or deliver_sm of a command's fields: octets as they are, or a text for npm smpp to encode.
module.exports.message = command => Object.assign({
  source_addr: command.source, source_addr_ton: command.source_ton ?? 1, source_addr_npi: command.source_npi ?? 1,
  destination_addr: command.destination, dest_addr_ton: 1, dest_addr_npi: 1,
  esm_class: command.esm_class ?? 0, registered_delivery: command.registered_delivery ?? 0,
}, command.hex !== undefined
  ? { data_coding: command.data_coding ?? 0, short_message: Buffer.from(command.hex, "hex") }
  : encoded(command.text), command.optional);

const encoded = text => {
  const fields = { data_coding: null, esm_class: 0 };
  const short_message = filter.encode.call(fields, text);
  return { data_coding: fields.data_coding, short_message };
};
