//! One SMPP session alone: ours, smpp34's client, and rusmpp's codec with frames and window made by hand.

use crate::report::{Aim, OURS, Part, median};
use crate::smsc::Smsc;
use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use rusmpp::decode::DecodeWithLength;
use rusmpp::encode::{Encode, Length};
use smpp34::client::{BIND_TYPE, SMSC, SmppClient, SmppClientListener};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use swingbridge_connectors::smpp::metrics::Meters;
use swingbridge_connectors::smpp::session::{End, Io, Limits, Session, open};
use swingbridge_wire::smpp::{Address, Bind, Body, Sm, VERSION_3_4};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

const WINDOWS: [u16; 3] = [1, 10, 100];
/// Each is measured this often, in turns, and the median is told: the far end's scheduling has two moods.
const ROUNDS: usize = 3;
const DURING: Duration = Duration::from_millis(1000);
/// The others' names.
const SMPP34: &str = "smpp34";
const RUSMPP: &str = "rusmpp, framed by hand";

const FROM: &str = "447700900001";
const TO: &str = "447700900123";
/// As long as the texts of the notes.
pub const TEXT: [u8; 81] = [b'x'; 81];

/// Measures.
///
/// # Errors
/// When somebody does not get through.
pub fn measure(part: &mut Part) -> Result<()> {
    let smsc = Smsc::start(None)?;
    for window in WINDOWS {
        let mut rates = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            rates[0].push(runtime()?.block_on(ours(smsc.address, window)).context(OURS)?);
            rates[1].push(
                runtime()?
                    .block_on(with_smpp34(smsc.address, window))
                    .context(SMPP34)?,
            );
            rates[2].push(
                runtime()?
                    .block_on(with_rusmpp(smsc.address, window))
                    .context(RUSMPP)?,
            );
        }
        let what = format!("submits at window {window}");
        let aim = (window == 100).then_some(Aim::AtLeast(100_000.0));
        part.ours(&what, median(&mut rates[0]), "/s", aim);
        part.peer(&what, SMPP34, median(&mut rates[1]), "/s");
        part.peer(&what, RUSMPP, median(&mut rates[2]), "/s");
    }
    part.note(
        "ours and smpp34 are sessions with a task for each submit that waits; rusmpp's is a bare loop over its codec, without \
         time limits or anybody waiting",
    );
    Ok(())
}

/// A runtime for each run, so that none inherits another's tasks.
pub fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn ours(smsc: SocketAddr, window: u16) -> Result<f64> {
    let bound = bind(smsc, window, "bench", "bench").await?;
    let done = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..window {
        senders.spawn(submit(
            bound.session.clone(),
            done.clone(),
            begun + DURING,
            u64::MAX,
        ));
    }
    while let Some(sender) = senders.join_next().await {
        sender??;
    }
    let rate = done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    bound.unbind().await?;
    Ok(rate)
}

/// Hands so many texts to an SMSC, ten at once, for a time at most.
///
/// # Errors
/// When it does not take them.
pub async fn hand_over(
    smsc: SocketAddr,
    system_id: &str,
    password: &str,
    texts: u64,
    during: Duration,
) -> Result<()> {
    let bound = bind(smsc, 10, system_id, password).await?;
    let done = Arc::new(AtomicU64::new(0));
    let mut senders = JoinSet::new();
    for _ in 0..10 {
        senders.spawn(submit(
            bound.session.clone(),
            done.clone(),
            Instant::now() + during,
            texts,
        ));
    }
    while let Some(sender) = senders.join_next().await {
        sender??;
    }
    bound.unbind().await
}

/// A session of ours with the task that drives it.
struct Ours {
    session: Session,
    running: tokio::task::JoinHandle<End>,
}

impl Ours {
    async fn unbind(self) -> Result<()> {
        self.session.unbind(Duration::from_secs(1)).await;
        self.running.await?;
        Ok(())
    }
}

async fn bind(smsc: SocketAddr, window: u16, system_id: &str, password: &str) -> Result<Ours> {
    let stream = TcpStream::connect(smsc).await?;
    stream.set_nodelay(true)?;
    let (reader, writer) = stream.into_split();
    let limits = Limits {
        window,
        response: Duration::from_secs(10),
        enquire_link: Duration::from_secs(30),
    };
    let bind = Body::BindTransceiver(Bind {
        system_id: system_id.into(),
        password: password.into(),
        interface_version: VERSION_3_4,
        ..Bind::default()
    });
    let meters = Arc::new(Meters::new("bench"));
    let opened = open(
        Io::new(reader, writer),
        bind,
        Duration::from_secs(5),
        limits,
        meters,
    )
    .await?;
    let session = opened.session.clone();
    let running = tokio::spawn(async move {
        let (sender, _deliveries) = mpsc::channel(1);
        session.run(opened.io, sender).await
    });
    Ok(Ours {
        session: opened.session,
        running,
    })
}

async fn submit(session: Session, done: Arc<AtomicU64>, until: Instant, most: u64) -> Result<()> {
    let sm = Sm {
        source: Address::new(1, 1, FROM),
        destination: Address::new(1, 1, TO),
        registered_delivery: 1,
        short_message: TEXT.to_vec().into(),
        ..Sm::default()
    };
    while Instant::now() < until && done.fetch_add(1, Ordering::Relaxed) < most {
        session.submit(sm.clone()).await?;
    }
    Ok(())
}

/// Hands out the session once it is bound.
struct Bound(mpsc::UnboundedSender<SMSC>);

#[async_trait]
impl SmppClientListener for Bound {
    async fn on_smsc_bound(&self, smsc: SMSC, _: &String) {
        let _ = self.0.send(smsc);
    }
}

async fn with_smpp34(smsc: SocketAddr, window: u16) -> Result<f64> {
    let (sender, mut bound) = mpsc::unbounded_channel();
    let mut client = SmppClient::new(
        smsc.ip().to_string(),
        smsc.port(),
        false,
        BIND_TYPE::TRX,
        "bench".into(),
        "bench".into(),
        String::new(),
        1,
        1,
        String::new(),
        Arc::new(Bound(sender)),
        window.into(),
    );
    client.start().await;
    let session = tokio::time::timeout(Duration::from_secs(5), bound.recv())
        .await?
        .context("not bound")?;
    let session = Arc::new(session);
    let done = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..window {
        let (session, done, until) = (session.clone(), done.clone(), begun + DURING);
        senders.spawn(async move {
            while Instant::now() < until {
                let built = session
                    .submit_sm()
                    .source_addr_ton(1)
                    .source_addr_npi(1)
                    .source_addr(FROM);
                let built = built.dest_addr_ton(1).dest_addr_npi(1).destination_addr(TO);
                let sent = built.registered_delivery(1).short_message(TEXT).send().await;
                if let Err(error) = sent {
                    bail!("{error:?}");
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender??;
    }
    let rate = done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    let _ = session.send_unbind().await;
    Ok(rate)
}

async fn with_rusmpp(smsc: SocketAddr, window: u16) -> Result<f64> {
    let stream = TcpStream::connect(smsc).await?;
    stream.set_nodelay(true)?;
    // The length counts itself, and rusmpp wants what follows it.
    let codec = LengthDelimitedCodec::builder()
        .length_adjustment(-4)
        .num_skip(4)
        .new_codec();
    let mut framed = Framed::new(stream, codec);
    framed
        .send(rusmpp_frame(1, rusmpp::pdus::BindTransceiver::default())?)
        .await?;
    framed.next().await.context("closed")??;

    let submit = |sequence: u32| -> Result<Bytes> {
        let sm = rusmpp::pdus::SubmitSm::builder()
            .source_addr_ton(rusmpp::values::Ton::International)
            .source_addr_npi(rusmpp::values::Npi::Isdn)
            .source_addr(rusmpp::types::COctetString::from_static_slice(b"447700900001\0")?)
            .dest_addr_ton(rusmpp::values::Ton::International)
            .dest_addr_npi(rusmpp::values::Npi::Isdn)
            .destination_addr(rusmpp::types::COctetString::from_static_slice(b"447700900123\0")?)
            .registered_delivery(rusmpp::values::RegisteredDelivery::request_all())
            .short_message(rusmpp::types::OctetString::from_static_slice(&TEXT)?)
            .build();
        rusmpp_frame(sequence, sm)
    };
    let (mut sequence, mut flying, mut done) = (1, 0, 0u64);
    let begun = Instant::now();
    loop {
        let over = begun.elapsed() > DURING;
        while !over && flying < window {
            sequence += 1;
            framed.feed(submit(sequence)?).await?;
            flying += 1;
        }
        if flying == 0 {
            return Ok(done as f64 / begun.elapsed().as_secs_f64());
        }
        SinkExt::<Bytes>::flush(&mut framed).await?;
        let mut frame = framed.next().await.context("closed")??;
        loop {
            let length = frame.len();
            let (command, _) =
                rusmpp::Command::decode(&mut frame, length).map_err(|error| anyhow::anyhow!("{error:?}"))?;
            if command.status() != rusmpp::CommandStatus::EsmeRok {
                bail!("refused");
            }
            flying -= 1;
            done += 1;
            // What came in the same read is taken at once, so that the answers to it leave together.
            match futures_util::FutureExt::now_or_never(framed.next()) {
                Some(more) => frame = more.context("closed")??,
                None => break,
            }
        }
    }
}

fn rusmpp_frame(sequence: u32, pdu: impl Into<rusmpp::Pdu>) -> Result<Bytes> {
    let command = rusmpp::Command::builder()
        .status(rusmpp::CommandStatus::EsmeRok)
        .sequence_number(sequence)
        .pdu(pdu);
    let mut out = BytesMut::zeroed(command.length());
    command.encode(&mut out);
    Ok(out.freeze())
}
