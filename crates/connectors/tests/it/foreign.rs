//! An SMSC that others wrote: the server of the crate smpp34.

use crate::harness::{config, ids, outbound, run};
use async_trait::async_trait;
use smpp34::server::ESME;
use smpp34::{
    SmppConnectionInformation, SmppError, SmppServer, SmppServerListener, bind_transceiver,
    bind_transceiver_resp, submit_sm, submit_sm_resp, unbind, unbind_resp,
};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use swingbridge_domain::connector::{Connector, Link};
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::inbox::Inbound;
use swingbridge_lab::process::free_port;
use tokio::sync::mpsc;

struct Foreign {
    submits: Mutex<Vec<submit_sm>>,
    bound: mpsc::UnboundedSender<ESME>,
}

#[async_trait]
impl SmppServerListener for Foreign {
    async fn on_bind_transceiver(
        &self,
        request: bind_transceiver,
        _: &SmppConnectionInformation,
        _: &String,
    ) -> bind_transceiver_resp {
        if request.password == "secret" {
            request.accept("foreign".into(), Some(0x34))
        } else {
            request.reject(SmppError::ESME_RINVPASWD)
        }
    }

    async fn on_submit_sm(
        &self,
        request: submit_sm,
        _: &SmppConnectionInformation,
        _: &String,
    ) -> submit_sm_resp {
        // Its server calls this side by side: the id is the place in the list only under one lock.
        let id = {
            let mut submits = self.submits.lock().unwrap();
            submits.push(request.clone());
            submits.len()
        };
        request.accept(format!("{id:08X}"))
    }

    async fn on_unbind(&self, request: unbind, _: &SmppConnectionInformation, _: &String) -> unbind_resp {
        request.accept()
    }

    async fn on_esme_bound(&self, esme: ESME, _: &String) {
        let _ = self.bound.send(esme);
    }
}

async fn start() -> (Arc<Foreign>, u16, mpsc::UnboundedReceiver<ESME>, SmppServer) {
    // Its server cannot be asked for its port, so a free one is found beforehand.
    let port = free_port().unwrap();
    let (bound, esmes) = mpsc::unbounded_channel();
    let foreign = Arc::new(Foreign {
        submits: Mutex::default(),
        bound,
    });
    let mut server = SmppServer::new(Ipv4Addr::LOCALHOST.into(), port, foreign.clone());
    server.start().await;
    (foreign, port, esmes, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_texts_with_emoji_and_receipts_pass_both_ways() {
    let (foreign, port, mut esmes, mut server) = start().await;
    let mut running = run(config(port));
    running.until(Link::Connected).await;
    let esme = esmes.recv().await.unwrap();

    let long = "Grüße 😀 ".repeat(20);
    let accepted = running.connector.send(outbound(&long)).await.unwrap();
    // It handles submits side by side, so only the first part is sure to be number one.
    let mut given = ids(&accepted);
    assert_eq!((accepted.segments, given[0]), (3, "1"));
    given.sort_unstable();
    assert_eq!(given, ["1", "2", "3"]);
    let units: Vec<u16> = {
        let mut submits = foreign.submits.lock().unwrap();
        submits.sort_by_key(|sm| sm.short_message[5]);
        assert!(
            submits
                .iter()
                .all(|sm| sm.data_coding == 8 && sm.esm_class == 0x40)
        );
        let body = submits
            .iter()
            .flat_map(|sm| sm.short_message[6..].to_vec())
            .collect::<Vec<_>>();
        body.chunks(2)
            .map(|unit| u16::from_be_bytes([unit[0], unit[1]]))
            .collect()
    };
    assert_eq!(String::from_utf16(&units).unwrap(), long);

    let deliver = |esm_class, data_coding, body: Vec<u8>| {
        let (phone, line) = ("447700900123".to_owned(), "447700900001".to_owned());
        let none = String::new;
        esme.send_deliver_sm(
            none(),
            1,
            1,
            phone,
            1,
            1,
            line,
            esm_class,
            0,
            0,
            none(),
            none(),
            0,
            0,
            data_coding,
            0,
            body,
        )
    };
    let emoji: Vec<u8> = "Hi 😀".encode_utf16().flat_map(u16::to_be_bytes).collect();
    deliver(0, 8, emoji).await.unwrap();
    deliver(
        4,
        0,
        b"id:00000002 sub:001 dlvrd:001 stat:DELIVRD err:000".to_vec(),
    )
    .await
    .unwrap();
    assert_eq!(running.inbox.texts(), ["Hi 😀"]);
    let Some(Inbound::Receipt(receipt)) = running.inbox.inbound().pop() else {
        panic!("no receipt")
    };
    assert_eq!(
        (receipt.outcome, receipt.network_ids[0].as_str()),
        (Outcome::Delivered, "2")
    );

    running.request_stop();
    running.stopped().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_submits_at_once_each_get_their_own_answer() {
    let (foreign, port, _esmes, mut server) = start().await;
    let running = run(config(port));
    running.until(Link::Connected).await;
    let sends: Vec<_> = (0..500)
        .map(|at| running.send(outbound(&format!("message {at}"))))
        .collect();
    let mut given = Vec::new();
    for (at, send) in sends.into_iter().enumerate() {
        let accepted = send.await.unwrap().unwrap();
        let id = u32::from_str_radix(ids(&accepted)[0], 16).unwrap();
        given.push(id);
        let submits = foreign.submits.lock().unwrap();
        let text = String::from_utf8(submits[id as usize - 1].short_message.clone()).unwrap();
        assert_eq!(text, format!("message {at}"));
    }
    given.sort_unstable();
    assert_eq!(given, (1..=500).collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_told() {
    let (_foreign, port, _esmes, mut server) = start().await;
    let mut settings = config(port);
    settings.password = swingbridge_domain::secret::Secret::new("wrong");
    let running = run(settings);
    running.until_detail(Link::Refused, "The password is wrong").await;
    server.stop().await;
}
