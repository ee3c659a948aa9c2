"use strict";
// Both ends of socket.io as its authors wrote them: node socket_io.js CONTROL_PORT
//
// `listen` hears the events of a server; `serve` stands before a server, passes its requests on, and sends the events itself.
const http = require("http");
const { Server } = require("socket.io");
const { io } = require("socket.io-client");

const control = require("./lines.js");
let client, server;

const tell = control({
  listen: command => {
    client = io(command.url, { transports: ["websocket"], query: command.query, reconnection: false });
    client.on("connect", () => tell({ event: "connected" }));
    client.on("disconnect", reason => tell({ event: "disconnected", reason }));
    client.on("connect_error", error => tell({ event: "refused", text: error.message }));
    client.onAny((name, data) => tell({ event: "heard", name, data }));
  },
  serve: command => {
    const upstream = new URL(command.upstream);
    const front = http.createServer((request, response) => {
      const onward = http.request(
        { host: upstream.hostname, port: upstream.port, path: request.url, method: request.method, headers: request.headers },
        answer => {
          response.writeHead(answer.statusCode, answer.headers);
          answer.pipe(response);
        },
      );
      onward.on("error", () => response.destroy());
      request.pipe(onward);
    });
    // As BlueBubbles sets it up, but for shorter pings.
    server = new Server(front, {
      pingTimeout: 120000, pingInterval: command.ping, maxHttpBufferSize: 1e8, allowEIO3: true,
      transports: ["websocket", "polling"],
    });
    server.on("connection", socket => {
      if (socket.handshake.query.password !== command.password) socket.disconnect();
      else tell({ event: "joined" });
      socket.conn.on("packet", packet => { if (packet.type === "pong") tell({ event: "pong" }); });
      socket.on("disconnect", reason => tell({ event: "left", reason }));
    });
    front.listen(0, "127.0.0.1", () => tell({ event: "listening", port: front.address().port }));
  },
  emit: command => server.emit(command.name, command.data),
});
tell({ event: "ready" });
