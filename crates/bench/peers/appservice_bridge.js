// npm matrix-appservice-bridge that does nothing with what comes: `node bench.js PORT HS_TOKEN`.
const { Bridge, AppServiceRegistration, Logger } = require("matrix-appservice-bridge");
const [port, token] = process.argv.slice(2);

if (Logger?.configure) Logger.configure({ console: "off" });
const registration = new AppServiceRegistration("http://127.0.0.1:" + port);
registration.setAppServiceToken("as-token");
registration.setHomeserverToken(token);
registration.setSenderLocalpart("smsbot");
registration.setId("bench");
registration.addRegexPattern("users", "@sms_.*", true);

const bridge = new Bridge({
    homeserverUrl: "http://127.0.0.1:9",
    domain: "localhost",
    registration,
    disableStores: true,
    disableContext: true,
    suppressEcho: false,
    logRequestOutcome: false,
    controller: { onEvent() {} },
});
bridge.initialise()
    .then(() => bridge.listen(Number(port), "127.0.0.1"))
    .catch((error) => { console.error(error); process.exit(1); });
