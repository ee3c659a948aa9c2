//! A small SMSC that does what a test tells it, PDU by PDU.

use bytes::BytesMut;
use std::net::SocketAddr;
use std::time::Duration;
use swingbridge_wire::smpp::{
    Address, Bind, BindResp, Body, CommandStatus, Framer, MessageResp, Pdu, Sm, Tlvs, VERSION_3_4, decode,
    tag,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long anything may take before a test fails.
pub const SOON: Duration = Duration::from_secs(30);

pub struct Smsc {
    listener: TcpListener,
}

impl Smsc {
    pub async fn start() -> Smsc {
        Smsc {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
        }
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// The next connection, before anything was said.
    pub async fn accept_stream(&self) -> TcpStream {
        let (stream, _) = timeout(SOON, self.listener.accept())
            .await
            .expect("a connection")
            .unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// The next connection, before its bind.
    pub async fn accept(&self) -> Peer {
        let stream = self.accept_stream().await;
        let address = stream.peer_addr().unwrap();
        let mut peer = Peer::new(stream);
        peer.address = Some(address);
        peer
    }

    /// The next connection, its bind accepted.
    pub async fn bound(&self) -> Peer {
        let mut peer = self.accept().await;
        let (pdu, _) = peer.bind().await;
        peer.send(bind_ok(&pdu)).await;
        peer
    }
}

/// The response that accepts a bind.
pub fn bind_ok(request: &Pdu) -> Pdu {
    let resp = BindResp {
        system_id: "smsc".into(),
        tlvs: Tlvs::new().with(tag::SC_INTERFACE_VERSION, [VERSION_3_4]),
    };
    let body = match request.body {
        Body::BindTransmitter(_) => Body::BindTransmitterResp(resp),
        Body::BindReceiver(_) => Body::BindReceiverResp(resp),
        _ => Body::BindTransceiverResp(resp),
    };
    Pdu::new(request.sequence, body)
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// One ESME, as the SMSC sees it.
pub struct Peer {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    sequence: u32,
    pub address: Option<SocketAddr>,
}

impl Peer {
    pub fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Peer {
        Peer {
            stream: Box::new(stream),
            buffer: BytesMut::new(),
            sequence: 0,
            address: None,
        }
    }

    /// The next PDU; none at the end of the connection.
    pub async fn next(&mut self) -> Option<Pdu> {
        timeout(SOON, async {
            loop {
                if let Some(frame) = Framer::default().next_frame(&mut self.buffer).unwrap() {
                    return Some(decode(&frame).unwrap());
                }
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        })
        .await
        .expect("a PDU or the end")
    }

    /// Reads once: what is there of a PDU.
    pub async fn some_octets(&mut self) {
        let read = timeout(SOON, self.stream.read_buf(&mut self.buffer))
            .await
            .expect("some octets");
        assert!(read.unwrap() > 0);
    }

    pub async fn pdu(&mut self) -> Pdu {
        self.next().await.expect("a PDU, not the end")
    }

    pub async fn bind(&mut self) -> (Pdu, Bind) {
        let pdu = self.pdu().await;
        match &pdu.body {
            Body::BindTransceiver(bind) | Body::BindTransmitter(bind) | Body::BindReceiver(bind) => {
                let bind = bind.clone();
                (pdu, bind)
            }
            other => panic!("{} instead of a bind", other.name()),
        }
    }

    pub async fn submit(&mut self) -> (u32, Sm) {
        let pdu = self.pdu().await;
        match pdu.body {
            Body::SubmitSm(sm) => (pdu.sequence, sm),
            other => panic!("{} instead of submit_sm", other.name()),
        }
    }

    pub async fn send(&mut self, pdu: Pdu) {
        self.send_all([pdu]).await;
    }

    /// All in one segment.
    pub async fn send_all(&mut self, pdus: impl IntoIterator<Item = Pdu>) {
        let mut out = BytesMut::new();
        pdus.into_iter().for_each(|pdu| pdu.encode(&mut out).unwrap());
        self.raw(&out).await;
    }

    pub async fn raw(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub async fn accept(&mut self, sequence: u32, id: &str) {
        self.send(submit_resp(sequence, CommandStatus::ROK, id)).await;
    }

    pub async fn refuse(&mut self, sequence: u32, status: CommandStatus) {
        self.send(submit_resp(sequence, status, "")).await;
    }

    pub fn sequence(&mut self) -> u32 {
        self.sequence += 1;
        self.sequence
    }

    /// Delivers a message and gives back its sequence number.
    pub async fn deliver(&mut self, sm: Sm) -> u32 {
        let sequence = self.sequence();
        self.send(Pdu::new(sequence, Body::DeliverSm(sm))).await;
        sequence
    }

    /// Asserts that the ESME has nothing to say: what it sends next answers a question asked now.
    pub async fn expect_quiet(&mut self) {
        let sequence = self.sequence();
        self.send(Pdu::new(sequence, Body::EnquireLink)).await;
        assert_eq!(self.pdu().await, Pdu::new(sequence, Body::EnquireLinkResp));
    }
}

pub fn submit_resp(sequence: u32, status: CommandStatus, id: &str) -> Pdu {
    let resp = MessageResp {
        message_id: id.into(),
        tlvs: Tlvs::new(),
    };
    Pdu::with_status(sequence, status, Body::SubmitSmResp(resp))
}

/// A text from a phone.
pub fn text(text: &str) -> Sm {
    Sm {
        source: Address::new(1, 1, "447700900123"),
        destination: Address::new(1, 1, "447700900001"),
        short_message: text.into(),
        ..Sm::default()
    }
}
