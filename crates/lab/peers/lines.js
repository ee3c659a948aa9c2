"use strict";
// The line to the test that has started us: JSON, one object to a line, both ways. When it ends, so do we.
const net = require("net");

module.exports = function lines(commands) {
  const socket = net.connect(Number(process.argv[2]), "127.0.0.1");
  socket.setNoDelay(true);
  socket.on("close", () => process.exit(0));
  socket.on("error", () => process.exit(0));
  let rest = "";
  socket.setEncoding("utf8");
  socket.on("data", data => {
    const whole = (rest + data).split("\n");
    rest = whole.pop();
    for (const line of whole) {
      const command = JSON.parse(line);
      commands[command.do](command);
    }
  });
  return event => socket.write(JSON.stringify(event) + "\n");
};
